"""What the shop sells: 40 articles, some of which are running out."""

from decimal import Decimal
from typing import Final

from msgspec import Struct

__all__ = ("ARTICLES", "Article")


class Article(Struct, frozen=True):
    """``available`` pieces when the demo begins, besides those that its orders have; ``demand`` is relative."""

    sku: str
    name: str
    price: Decimal
    available: int
    demand: float


_STOCKED: Final = (
    ("Notebook A5, dotted", "10.00", 200),
    ("Notebook A4, ruled", "14.50", 340),
    ("Pocket notebook, set of three", "12.00", 160),
    ("Fountain pen, fine", "34.00", 85),
    ("Ink bottle 50 ml, blue", "11.90", 120),
    ("Ink bottle 50 ml, black", "11.90", 7),
    ("Rollerball pen", "8.50", 410),
    ("Pencils, box of twelve", "9.80", 275),
    ("Pencil sharpener, brass", "6.90", 190),
    ("Eraser, soft", "4.50", 520),
    ("Ruler 30 cm, steel", "7.20", 145),
    ("Desk pad, felt", "29.00", 64),
    ("Letter opener", "16.00", 38),
    ("Paper clips, tin of 100", "5.40", 600),
    ("Stapler", "18.50", 0),
    ("Washi tape, set of five", "9.00", 230),
    ("Wrapping paper, roll", "6.50", 310),
    ("Greeting cards, box of ten", "15.00", 175),
    ("Envelopes C6, pack of 25", "7.80", 450),
    ("Wall calendar", "19.90", 12),
    ("Desk calendar", "13.50", 96),
    ("Weekly planner", "22.00", 130),
    ("Enamel mug, white", "12.50", 210),
    ("Enamel mug, blue", "12.50", 3),
    ("Teapot, cast iron", "48.00", 26),
    ("Tea towel, linen", "14.00", 155),
    ("Tote bag, canvas", "17.00", 240),
    ("Pencil case, leather", "31.00", 0),
    ("Laptop sleeve 13 inch", "38.00", 52),
    ("Desk lamp, clamp", "46.00", 33),
    ("Bookends, pair", "24.00", 71),
    ("Magazine holder", "15.50", 88),
    ("Pen holder, oak", "21.00", 67),
    ("Cork board 60 x 40", "27.50", 18),
    ("Push pins, box of 50", "4.90", 380),
    ("Globe, 20 cm", "44.00", 22),
    ("Puzzle, 500 pieces", "18.00", 0),
    ("Playing cards", "8.90", 260),
    ("Candle, beeswax", "9.50", 205),
    ("Photo frame 13 x 18", "16.90", 94),
)

ARTICLES: Final = tuple(
    # A few sell much, most a little; 17 and 40 share no factor, so the popular ones stand anywhere in the list.
    Article(f"SKU-{number:03}", name, Decimal(price), available, 1 / (4 + 17 * number % 40))
    for number, (name, price, available) in enumerate(_STOCKED, start=1)
)
