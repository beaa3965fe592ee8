-- The last month of the waterfall closes with what all subscriptions count.
with closed as (
    select
        currency,
        closing_mrr as mrr
    from (
        select
            currency,
            closing_mrr,
            row_number() over (partition by currency order by month desc) as age
        from {{ ref('mrr_monthly') }}
    ) as months
    where age = 1
),

counted as (
    select
        currency,
        sum(mrr_change) as mrr
    from {{ ref('stg_stripe__subscription_events') }}
    group by currency
)

select
    counted.currency,
    counted.mrr,
    closed.mrr as closing_mrr
from counted
left join closed on counted.currency = closed.currency
where coalesce(counted.mrr, 0) <> coalesce(closed.mrr, 0)
