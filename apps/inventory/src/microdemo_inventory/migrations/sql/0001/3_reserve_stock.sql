-- All lines or none, decided once per (order, epoch): a repeated call is answered what the first one decided, and null
-- where that was another request.
--
-- The arrays have one element per line; a price is null where none is stated. p_prices_stand tells whether a stated
-- price stands whatever the catalogue says, or must agree with it. p_replaces names an epoch of the same order whose
-- pieces count as available and go back if this epoch is held, all in one transaction; its prices are kept.
--
-- Locks are taken in this order, here and everywhere: reservations by epoch, descending, then items by SKU.
-- READ COMMITTED is assumed: each statement below sees what was committed before it, and what it has locked.
CREATE FUNCTION reserve_stock(
    p_order_id text, p_epoch integer, p_request_hash text,
    p_skus text[], p_quantities integer[], p_prices numeric[],
    p_total numeric, p_prices_stand boolean, p_replaces integer
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    v_hash text;
    v_skus text[];
    v_prices numeric[];
    v_refusals jsonb;
    v_touched jsonb := '[]';
BEGIN
    -- Waits for a twin that is deciding just now.
    INSERT INTO reservations (order_id, epoch, state, request_hash)
    VALUES (p_order_id, p_epoch, 'held', p_request_hash)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        SELECT request_hash INTO STRICT v_hash FROM reservations WHERE order_id = p_order_id AND epoch = p_epoch;
        -- A tombstone has no hash: whatever is asked, it was released before.
        IF v_hash <> p_request_hash THEN
            RETURN NULL;
        END IF;
        RETURN reservation_answer(p_order_id, p_epoch, v_touched);
    END IF;

    IF p_replaces IS NOT NULL THEN
        -- An epoch that was never seen is closed by a tombstone, or its late reserve would take pieces too.
        INSERT INTO reservations (order_id, epoch, state)
        VALUES (p_order_id, p_replaces, 'released')
        ON CONFLICT DO NOTHING;
        PERFORM FROM reservations WHERE order_id = p_order_id AND epoch = p_replaces FOR UPDATE;
    END IF;

    SELECT array_agg(DISTINCT sku) INTO v_skus FROM (
        SELECT unnest(p_skus) AS sku
        UNION ALL
        SELECT sku FROM reservation_lines WHERE order_id = p_order_id AND epoch = p_replaces
    ) mentioned;
    PERFORM FROM items WHERE sku = ANY (v_skus) ORDER BY sku FOR UPDATE;

    WITH replaced AS (
        SELECT sku, sum(quantity) AS quantity, array_agg(price ORDER BY line) AS prices
        FROM reservation_lines WHERE order_id = p_order_id AND epoch = p_replaces
        GROUP BY sku
    ), wanted AS (
        SELECT
            l.line, l.sku, l.quantity, l.stated,
            i.sku IS NOT NULL AS known,
            i.qty + coalesce(r.quantity, 0) AS available,
            CASE
                WHEN p_prices_stand OR l.stated = ANY (r.prices) THEN coalesce(l.stated, r.prices[1], i.price)
                ELSE coalesce(r.prices[1], i.price)
            END AS price
        FROM unnest(p_skus, p_quantities, p_prices) WITH ORDINALITY AS l (sku, quantity, stated, line)
        LEFT JOIN items i ON i.sku = l.sku
        LEFT JOIN replaced r ON r.sku = l.sku
    ), refused AS (
        SELECT
            min(line) AS line,
            jsonb_build_object('sku', sku, 'reason', 'unknown', 'wanted', sum(quantity)) AS refusal
        FROM wanted WHERE NOT known GROUP BY sku
        UNION ALL
        SELECT
            min(line),
            jsonb_build_object('sku', sku, 'reason', 'short', 'wanted', sum(quantity), 'available', available)
        FROM wanted WHERE known GROUP BY sku, available HAVING sum(quantity) > available
        UNION ALL
        SELECT line, jsonb_build_object('sku', sku, 'reason', 'price', 'stated', stated::text, 'actual', price::text)
        FROM wanted WHERE stated <> price
        UNION ALL
        SELECT min(line), jsonb_build_object('sku', sku, 'reason', 'unpriced')
        FROM wanted WHERE known AND price IS NULL GROUP BY sku
        UNION ALL
        SELECT
            NULL,
            jsonb_build_object(
                'sku', NULL, 'reason', 'total',
                'stated', p_total::text, 'actual', sum(price * quantity)::text
            )
        FROM wanted HAVING bool_and(price IS NOT NULL) AND sum(price * quantity) <> p_total
    )
    SELECT
        (SELECT array_agg(price ORDER BY line) FROM wanted),
        (SELECT jsonb_agg(refusal ORDER BY line NULLS LAST, refusal ->> 'reason') FROM refused)
    INTO v_prices, v_refusals;

    IF v_refusals IS NOT NULL THEN
        UPDATE reservations SET state = 'refused', refusals = v_refusals
        WHERE order_id = p_order_id AND epoch = p_epoch;
        RETURN reservation_answer(p_order_id, p_epoch, v_touched);
    END IF;

    IF p_replaces IS NOT NULL THEN
        v_touched := return_pieces(p_order_id, p_replaces);
        UPDATE reservations SET state = 'released', updated_at = now()
        WHERE order_id = p_order_id AND epoch = p_replaces AND state IN ('held', 'sold');
    END IF;

    WITH taken AS (
        UPDATE items i
        SET qty = i.qty - w.quantity, version = i.version + 1, updated_at = now()
        FROM (
            SELECT sku, sum(quantity)::integer AS quantity
            FROM unnest(p_skus, p_quantities) AS l (sku, quantity) GROUP BY sku
        ) w
        WHERE i.sku = w.sku
        RETURNING i.id, i.sku
    )
    SELECT v_touched || jsonb_agg(jsonb_build_object('id', id, 'sku', sku)) INTO v_touched FROM taken;

    INSERT INTO reservation_lines (order_id, epoch, line, sku, quantity, price)
    SELECT p_order_id, p_epoch, line, sku, quantity, price
    FROM unnest(p_skus, p_quantities, v_prices) WITH ORDINALITY AS l (sku, quantity, price, line);

    RETURN reservation_answer(p_order_id, p_epoch, v_touched);
END
$$
