-- Where every piece is. For each SKU available + held + sold = ledger, at any moment: one statement, one snapshot.
CREATE VIEW stock_balances AS
SELECT
    sku,
    sum(available) AS available,
    sum(held) AS held,
    sum(sold) AS sold,
    sum(ledger) AS ledger
FROM (
    SELECT sku, qty AS available, 0 AS held, 0 AS sold, 0 AS ledger FROM items
    UNION ALL
    SELECT sku, 0, CASE WHEN sold THEN 0 ELSE quantity END, CASE WHEN sold THEN quantity ELSE 0 END, 0
    FROM reservation_lines
    UNION ALL
    SELECT sku, 0, 0, 0, delta FROM stock_adjustments
) pieces
GROUP BY sku
