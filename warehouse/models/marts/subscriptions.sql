with told as (
    select
        *,
        -- Of one second: what begins, what changes, what ends.
        case event
            when 'Subscription Imported' then 0
            when 'Subscription Created' then 0
            when 'Subscription Cancelled' then 2
            when 'Subscription Expired' then 2
            else 1
        end as place
    from {{ ref('stg_stripe__subscription_events') }}
),

newest as (
    select
        told.*,
        {{ stripe_to_segment.person('told') }} as person_id,
        row_number() over (
            partition by told.subscription_id
            order by told.occurred_at desc, told.place desc, told.received_at desc, told.call_id
        ) as age
    from told
    {{ stripe_to_segment.join_people('told') }}
),

-- The events that a payment or a coupon brings about state neither the product nor the amount.
described as (
    select
        subscription_id,
        price_id,
        quantity,
        product_id,
        amount,
        row_number() over (
            partition by subscription_id, price_id
            order by occurred_at desc, place desc, received_at desc, call_id
        ) as age
    from told
    where product_id is not null
),

life as (
    select
        subscription_id,
        min(occurred_at) as first_told_at,
        min(case when event = 'Subscription Created' then occurred_at end) as created_at,
        min(case when mrr_change > 0 then occurred_at end) as first_counted_at,
        min(case when event = 'Trial Started' then occurred_at end) as trial_started_at,
        min(case when event = 'Trial Converted' then occurred_at end) as trial_converted_at,
        min(case when event in ('Subscription Cancelled', 'Subscription Expired') then occurred_at end) as ended_at,
        max(case when event = 'Subscription Cancelled' then reason end) as reason,
        max(case when event = 'Subscription Cancelled' then feedback end) as feedback,
        max(case when event = 'Subscription Cancelled' then cancelled_by end) as cancelled_by,
        max(case when event = 'Subscription Cancelled' then days_active end) as days_active,
        sum(coalesce(mrr_change, 0)) as mrr
    from told
    group by subscription_id
),

paid as (
    select
        subscription_id,
        count(*) as payments,
        sum(total) as collected,
        sum(revenue) as revenue,
        min(paid_at) as first_payment_at,
        max(paid_at) as last_payment_at
    from {{ ref('payments') }}
    where subscription_id is not null
    group by subscription_id
)

select
    newest.subscription_id,
    newest.person_id,
    newest.user_id,
    newest.group_id,
    newest.status,
    newest.plan,
    newest.price_id,
    coalesce(newest.product_id, described.product_id) as product_id,
    newest.quantity,
    newest.billing_period,
    coalesce(newest.amount, case when described.quantity = newest.quantity then described.amount end) as amount,
    newest.currency,
    life.mrr,
    life.first_told_at,
    life.created_at,
    life.first_counted_at,
    life.trial_started_at,
    life.trial_converted_at,
    life.ended_at,
    life.reason,
    life.feedback,
    life.cancelled_by,
    life.days_active,
    coalesce(paid.payments, 0) as payments,
    coalesce(paid.collected, 0) as collected,
    coalesce(paid.revenue, 0) as revenue,
    paid.first_payment_at,
    paid.last_payment_at,
    newest.occurred_at as last_told_at
from newest
inner join life on newest.subscription_id = life.subscription_id
left join described
    on
        newest.subscription_id = described.subscription_id
        and newest.price_id = described.price_id
        and described.age = 1
left join paid on newest.subscription_id = paid.subscription_id
where newest.age = 1
