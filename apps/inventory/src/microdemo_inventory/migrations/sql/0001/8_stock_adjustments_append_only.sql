CREATE TRIGGER stock_adjustments_append_only
BEFORE UPDATE OR DELETE ON stock_adjustments
FOR EACH ROW EXECUTE FUNCTION refuse_change()
