"""Items with their ledger, reservations with their lines, and the functions that move stock."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# A function that changes gets a file in the folder of the revision that replaces it.
SQL = Path(__file__).parents[1] / "sql" / revision


def upgrade() -> None:
    op.create_table(
        "items",
        sa.Column("id", sa.BigInteger(), sa.Identity(start=1, increment=1), nullable=False),
        sa.Column("sku", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("qty", sa.Integer(), server_default="0", nullable=False),
        sa.Column("price", sa.Numeric(12, 2), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint("qty >= 0", name=op.f("ck_items_qty_not_negative")),
        sa.CheckConstraint("price >= 0", name=op.f("ck_items_price_not_negative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_items")),
        sa.UniqueConstraint("sku", name=op.f("uq_items_sku")),
    )
    op.create_index("ix_items_created_at", "items", ["created_at", "id"])
    op.create_table(
        "stock_adjustments",
        sa.Column("id", sa.BigInteger(), sa.Identity(start=1, increment=1), nullable=False),
        sa.Column("item_id", sa.BigInteger(), nullable=True),
        sa.Column("sku", sa.Text(collation="C"), nullable=False),
        sa.Column("delta", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("correlation_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint("delta <> 0", name=op.f("ck_stock_adjustments_delta_not_zero")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock_adjustments")),
    )
    op.create_index("ix_stock_adjustments_item_id", "stock_adjustments", ["item_id", "id"])
    op.create_table(
        "reservations",
        sa.Column("order_id", sa.Text(collation="C"), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.Text(), nullable=True),
        sa.Column("refusals", postgresql.JSONB(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint(
            "state IN ('held', 'refused', 'released', 'sold')", name=op.f("ck_reservations_state_known")
        ),
        sa.PrimaryKeyConstraint("order_id", "epoch", name=op.f("pk_reservations")),
    )
    op.create_table(
        "reservation_lines",
        sa.Column("order_id", sa.Text(collation="C"), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("sku", sa.Text(collation="C"), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("price", sa.Numeric(12, 2), nullable=False),
        sa.Column("sold", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_reservation_lines_quantity_positive")),
        sa.CheckConstraint("price >= 0", name=op.f("ck_reservation_lines_price_not_negative")),
        sa.PrimaryKeyConstraint("order_id", "epoch", "line", name=op.f("pk_reservation_lines")),
        sa.ForeignKeyConstraint(
            ["order_id", "epoch"],
            ["reservations.order_id", "reservations.epoch"],
            name=op.f("fk_reservation_lines_order_id_reservations"),
        ),
    )
    op.create_index("ix_reservation_lines_sku", "reservation_lines", ["sku", "sold"])
    for file in sorted(SQL.glob("*.sql")):
        op.execute(file.read_text())


def downgrade() -> None:
    op.execute("DROP VIEW stock_balances")
    for function in ("sell_stock", "release_stock", "reserve_stock", "return_pieces", "reservation_answer"):
        op.execute(f"DROP FUNCTION {function}")
    for table in ("reservation_lines", "reservations", "stock_adjustments", "items"):
        op.drop_table(table)
    op.execute("DROP FUNCTION refuse_change")
