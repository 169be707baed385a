-- What the service answers about one epoch of an order; null where it was never seen. Money is text, as in our JSON.
-- "touched" holds the ids and SKUs of the items whose stock the caller has just changed.
CREATE FUNCTION reservation_answer(p_order_id text, p_epoch integer, p_touched jsonb) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'state', r.state,
        'lines', coalesce(l.lines, '[]'),
        'total', l.total::text,
        'refusals', r.refusals,
        'touched', p_touched
    )
    FROM reservations r
    CROSS JOIN LATERAL (
        SELECT
            jsonb_agg(
                jsonb_build_object('sku', sku, 'quantity', quantity, 'price', price::text) ORDER BY line
            ) AS lines,
            sum(price * quantity) AS total
        FROM reservation_lines
        WHERE order_id = r.order_id AND epoch = r.epoch
    ) l
    WHERE r.order_id = p_order_id AND r.epoch = p_epoch
$$
