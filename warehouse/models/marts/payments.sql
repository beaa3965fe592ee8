with told as (
    select * from {{ ref('stg_stripe__payments') }}
    -- An invoice over nothing is no payment, and one of a payment that another call told says 0.
    where coalesce(total, 0) <> 0 or coalesce(revenue, 0) <> 0
),

gone_back as (
    select
        order_id,
        currency,
        sum(case when kind in ('refund', 'refund_failed') then amount else 0 end) as refunded,
        sum(case when kind in ('dispute', 'dispute_escalated', 'dispute_won', 'dispute_lost') then amount else 0 end) as disputed,
        sum(case when kind in ('credit_note', 'credit_note_voided') then amount else 0 end) as credited
    from {{ ref('refunds_and_disputes') }}
    group by order_id, currency
),

placed as (
    select
        told.*,
        {{ stripe_to_segment.person('told') }} as person_id,
        -- An invoice that was paid in parts has several rows: what goes back of it stands with the newest.
        row_number() over (partition by told.order_id, told.currency order by told.occurred_at desc, told.call_id) as age
    from told
    {{ stripe_to_segment.join_people('told') }}
)

select
    placed.order_id,
    placed.event,
    placed.occurred_at as paid_at,
    {{ stripe_to_segment.day_of('placed.occurred_at') }} as paid_on,
    placed.person_id,
    placed.user_id,
    placed.anonymous_id,
    placed.group_id,
    placed.currency,
    placed.total,
    placed.revenue,
    placed.subtotal,
    placed.tax,
    placed.shipping,
    placed.discount,
    placed.coupon,
    placed.application_fee,
    placed.invoice_id,
    placed.invoice_payment_id,
    placed.subscription_id,
    placed.checkout_id,
    placed.billing_reason,
    placed.plan,
    placed.price_id,
    placed.product_id,
    placed.quantity,
    placed.product_ids,
    placed.line_count,
    placed.first_product,
    coalesce(placed.after_trial, false) as after_trial,
    row_number() over (partition by placed.person_id order by placed.occurred_at, placed.order_id, placed.call_id) = 1
        as is_first_payment,
    coalesce(gone_back.refunded, 0) as refunded,
    coalesce(gone_back.disputed, 0) as disputed,
    coalesce(gone_back.credited, 0) as credited,
    placed.total
        - coalesce(gone_back.refunded, 0)
        - coalesce(gone_back.disputed, 0)
        - coalesce(gone_back.credited, 0) as kept,
    placed.call_id,
    placed.stripe_event_id,
    placed.revenue_refunded,
    placed.tax_refunded
from placed
left join gone_back
    on placed.order_id = gone_back.order_id and placed.currency = gone_back.currency and placed.age = 1
