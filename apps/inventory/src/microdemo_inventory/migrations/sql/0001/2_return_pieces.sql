-- Puts the pieces of a reservation back, and answers which items changed. The caller holds the reservation's row.
CREATE FUNCTION return_pieces(p_order_id text, p_epoch integer) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    v_skus text[];
    v_touched jsonb;
BEGIN
    SELECT array_agg(DISTINCT sku) INTO v_skus
    FROM reservation_lines WHERE order_id = p_order_id AND epoch = p_epoch;

    -- Always in SKU order: whoever locks several items in another order deadlocks with us.
    PERFORM FROM items WHERE sku = ANY (v_skus) ORDER BY sku FOR UPDATE;

    WITH returned AS (
        DELETE FROM reservation_lines WHERE order_id = p_order_id AND epoch = p_epoch RETURNING sku, quantity
    ), per_sku AS (
        SELECT sku, sum(quantity)::integer AS quantity FROM returned GROUP BY sku
    ), updated AS (
        UPDATE items i
        SET qty = i.qty + p.quantity, version = i.version + 1, updated_at = now()
        FROM per_sku p WHERE i.sku = p.sku
        RETURNING i.id, i.sku
    ), homeless AS (
        -- Sold pieces whose item was deleted since: they leave the books as they came.
        INSERT INTO stock_adjustments (sku, delta, reason)
        SELECT p.sku, -p.quantity, 'returned, but the item is deleted'
        FROM per_sku p WHERE NOT EXISTS (SELECT FROM items i WHERE i.sku = p.sku)
    )
    SELECT coalesce(jsonb_agg(jsonb_build_object('id', id, 'sku', sku)), '[]') INTO v_touched FROM updated;

    RETURN v_touched;
END
$$
