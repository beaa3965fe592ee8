-- What each person counted before and after each month in which anything changed.
with by_person as (
    select
        person_id,
        currency,
        month,
        sum(mrr_change) as net
    from {{ ref('mrr_movements') }}
    group by person_id, currency, month
),

balances as (
    select
        person_id,
        currency,
        month,
        net,
        sum(net) over (
            partition by person_id, currency order by month rows between unbounded preceding and current row
        ) as closing
    from by_person
),

turns as (
    select
        currency,
        month,
        case when closing - net <= 0 and closing > 0 then 1 else 0 end as came,
        case when closing - net > 0 and closing <= 0 then 1 else 0 end as went,
        case when closing - net > 0 and closing <= 0 then -net else 0 end as mrr_of_gone,
        case when closing - net > 0 and closing > 0 and net < 0 then -net else 0 end as mrr_contracted,
        case when closing - net > 0 and closing > 0 and net > 0 then net else 0 end as mrr_expanded
    from balances
),

counted as (
    select
        currency,
        month,
        sum(came) as customers_came,
        sum(went) as customers_churned,
        sum(mrr_of_gone) as mrr_churned,
        sum(mrr_contracted) as mrr_contracted,
        sum(mrr_expanded) as mrr_expanded
    from turns
    group by currency, month
),

filled as (
    select
        waterfall.month,
        waterfall.currency,
        waterfall.opening_mrr as mrr_at_start,
        coalesce(counted.customers_came, 0) as customers_came,
        coalesce(counted.customers_churned, 0) as customers_churned,
        coalesce(counted.mrr_churned, 0) as mrr_churned,
        coalesce(counted.mrr_contracted, 0) as mrr_contracted,
        coalesce(counted.mrr_expanded, 0) as mrr_expanded,
        sum(coalesce(counted.customers_came, 0) - coalesce(counted.customers_churned, 0)) over (
            partition by waterfall.currency
            order by waterfall.month rows between unbounded preceding and current row
        ) as customers_at_end
    from {{ ref('mrr_monthly') }} as waterfall
    left join counted on waterfall.currency = counted.currency and waterfall.month = counted.month
),

started as (
    select
        filled.*,
        customers_at_end - customers_came + customers_churned as customers_at_start
    from filled
)

select
    month,
    currency,
    customers_at_start,
    customers_came,
    customers_churned,
    customers_at_end,
    mrr_at_start,
    mrr_churned,
    mrr_contracted,
    mrr_expanded,
    cast(customers_churned as {{ stripe_to_segment.float_type() }}) / nullif(customers_at_start, 0) as customer_churn_rate,
    cast(mrr_churned as {{ stripe_to_segment.float_type() }}) / nullif(mrr_at_start, 0) as mrr_churn_rate,
    cast(mrr_at_start - mrr_churned - mrr_contracted + mrr_expanded as {{ stripe_to_segment.float_type() }}) / nullif(mrr_at_start, 0)
        as net_mrr_retention
from started
