"""Orders, their audit trail and Idempotency-Keys."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

VISIBLE = "NOT saga IN ('placing', 'aborting', 'rejected', 'failed') AND deleted_at IS NULL"


def upgrade() -> None:
    _create_orders()
    op.create_table(
        "order_events",
        sa.Column("id", sa.BigInteger(), sa.Identity(start=1, increment=1), nullable=False),
        sa.Column("order_id", sa.Text(collation="C"), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("old_value", sa.Text(), nullable=True),
        sa.Column("new_value", sa.Text(), nullable=True),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("correlation_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_events")),
    )
    op.create_index("ix_order_events_order_id", "order_events", ["order_id", "id"])
    op.execute("""
        CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
        END
        $$
    """)
    op.execute("""
        CREATE TRIGGER order_events_append_only BEFORE UPDATE OR DELETE ON order_events
        FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """)
    op.create_table(
        "idempotency_keys",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("request_hash", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(collation="C"), nullable=False),
        sa.Column("status_code", sa.SmallInteger(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])


def _create_orders() -> None:
    op.create_table(
        "orders",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("total", sa.Numeric(18, 2), nullable=False),
        sa.Column("items", postgresql.JSONB(), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("epoch", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("held_epoch", sa.Integer(), nullable=True),
        sa.Column("saga", sa.Text(), nullable=False),
        sa.Column("intent", postgresql.JSONB(), nullable=True),
        sa.Column("refusals", postgresql.JSONB(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("request_hash", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("visible", sa.Boolean(), sa.Computed(VISIBLE, persisted=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint(
            "status IN ('pending', 'processing', 'shipped', 'delivered', 'completed', 'cancelled', 'rejected')",
            name=op.f("ck_orders_status_known"),
        ),
        sa.CheckConstraint(
            "saga IN ('placing', 'aborting', 'rejected', 'failed', 'held', 'editing', 'selling', 'sold', "
            "'releasing', 'released', 'reactivating', 'none')",
            name=op.f("ck_orders_saga_known"),
        ),
        sa.CheckConstraint("total >= 0", name=op.f("ck_orders_total_not_negative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
    )
    visible, newest_first = sa.text("visible"), [sa.text("created_at DESC"), sa.text("id DESC")]
    op.create_index("ix_orders_newest", "orders", newest_first, postgresql_where=visible)
    op.create_index(
        "ix_orders_own",
        "orders",
        ["user_id", *newest_first],
        postgresql_include=["status", "total"],
        postgresql_where=visible,
    )
    op.create_index(
        "ix_orders_status",
        "orders",
        ["status", *newest_first],
        postgresql_include=["total"],
        postgresql_where=visible,
    )
    op.create_index(
        "ix_orders_analytics",
        "orders",
        ["created_at"],
        postgresql_include=["status", "total"],
        postgresql_where=visible,
    )
    op.create_index("ix_orders_due", "orders", ["due_at"], postgresql_where=sa.text("due_at IS NOT NULL"))
    # orders.items is the truth; this shows it as the rows that the data model draws.
    op.execute("""
        CREATE VIEW order_items AS
        SELECT o.id AS order_id, l.line, l.item ->> 'sku' AS sku, (l.item ->> 'quantity')::integer AS quantity,
               (l.item ->> 'price')::numeric(12, 2) AS price
        FROM orders o CROSS JOIN LATERAL jsonb_array_elements(o.items) WITH ORDINALITY AS l (item, line)
        WHERE o.visible
    """)


def downgrade() -> None:
    op.execute("DROP VIEW order_items")
    for table in ("idempotency_keys", "order_events", "orders"):
        op.drop_table(table)
    op.execute("DROP FUNCTION refuse_change")
