-- Nothing is lost between the payments and the days.
with days as (
    select
        currency,
        sum(revenue) as revenue,
        sum(collected) as collected
    from {{ ref('revenue_daily') }}
    group by currency
),

paid as (
    select
        currency,
        sum(revenue) as revenue,
        sum(total) as collected
    from {{ ref('stg_stripe__payments') }}
    group by currency
)

select
    paid.currency,
    paid.revenue,
    days.revenue as revenue_of_days
from paid
left join days on paid.currency = days.currency
where
    coalesce(paid.revenue, 0) <> coalesce(days.revenue, 0)
    or coalesce(paid.collected, 0) <> coalesce(days.collected, 0)
