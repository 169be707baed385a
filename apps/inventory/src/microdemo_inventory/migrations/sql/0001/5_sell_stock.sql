-- Held pieces leave the house. Stock does not change: it went down when they were reserved. The state that stands is
-- answered where nothing was held, null where nothing was ever asked.
CREATE FUNCTION sell_stock(p_order_id text, p_epoch integer) RETURNS jsonb
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE reservations SET state = 'sold', updated_at = now()
    WHERE order_id = p_order_id AND epoch = p_epoch AND state = 'held';
    IF FOUND THEN
        UPDATE reservation_lines SET sold = true WHERE order_id = p_order_id AND epoch = p_epoch;
    END IF;
    RETURN reservation_answer(p_order_id, p_epoch, '[]');
END
$$
