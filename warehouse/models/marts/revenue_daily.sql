{#- Nothing, in the type of an amount: not every warehouse widens a whole number that stands in a union. -#}
{%- set nothing = "cast(0 as " ~ stripe_to_segment.money_type() ~ ")" -%}
with moved as (
    select
        paid_on as day,
        currency,
        1 as payments,
        total as collected,
        revenue,
        case when is_first_payment then revenue else 0 end as first_payment_revenue,
        case when billing_reason = 'subscription_cycle' then revenue else 0 end as renewal_revenue,
        coalesce(tax, 0) as tax,
        {{ nothing }} as refunded,
        coalesce(revenue_refunded, 0) as revenue_refunded,
        {{ nothing }} as disputed,
        {{ nothing }} as credited
    from {{ ref('payments') }}
    union all
    select
        occurred_on as day,
        currency,
        0 as payments,
        {{ nothing }} as collected,
        {{ nothing }} as revenue,
        {{ nothing }} as first_payment_revenue,
        {{ nothing }} as renewal_revenue,
        {{ nothing }} as tax,
        case when kind in ('refund', 'refund_failed') then amount else 0 end as refunded,
        coalesce(revenue_refunded, 0) as revenue_refunded,
        case when kind in ('dispute', 'dispute_escalated', 'dispute_won', 'dispute_lost') then amount else 0 end as disputed,
        case when kind in ('credit_note', 'credit_note_voided') then amount else 0 end as credited
    from {{ ref('refunds_and_disputes') }}
    -- A refund whose order is itself gives nothing of a payment back: it returns what a customer transferred beyond it.
    where order_id <> coalesce(object_id, '')
)

select
    day,
    currency,
    sum(payments) as payments,
    sum(collected) as collected,
    sum(revenue) as revenue,
    sum(first_payment_revenue) as first_payment_revenue,
    sum(renewal_revenue) as renewal_revenue,
    sum(tax) as tax,
    sum(refunded) as refunded,
    sum(revenue_refunded) as revenue_refunded,
    sum(disputed) as disputed,
    sum(credited) as credited,
    sum(collected) - sum(refunded) - sum(disputed) - sum(credited) as kept
from moved
where currency is not null
group by day, currency
