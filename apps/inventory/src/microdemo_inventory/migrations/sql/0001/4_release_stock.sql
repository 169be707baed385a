-- Gives back what is held or sold, once. What was never seen is closed by a tombstone, which a late reserve finds.
CREATE FUNCTION release_stock(p_order_id text, p_epoch integer) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    v_state text;
    v_touched jsonb := '[]';
BEGIN
    INSERT INTO reservations (order_id, epoch, state) VALUES (p_order_id, p_epoch, 'released')
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        SELECT state INTO STRICT v_state
        FROM reservations WHERE order_id = p_order_id AND epoch = p_epoch FOR UPDATE;
        IF v_state IN ('held', 'sold') THEN
            v_touched := return_pieces(p_order_id, p_epoch);
            UPDATE reservations SET state = 'released', updated_at = now()
            WHERE order_id = p_order_id AND epoch = p_epoch;
        END IF;
    END IF;
    RETURN reservation_answer(p_order_id, p_epoch, v_touched);
END
$$
