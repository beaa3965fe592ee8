with movements as (
    select
        currency,
        month,
        sum(case when mrr_movement = 'opening' then mrr_change else 0 end) as imported_mrr,
        sum(case when mrr_movement = 'new' then mrr_change else 0 end) as new_mrr,
        sum(case when mrr_movement = 'expansion' then mrr_change else 0 end) as expansion_mrr,
        sum(case when mrr_movement = 'reactivation' then mrr_change else 0 end) as reactivation_mrr,
        sum(case when mrr_movement = 'contraction' then mrr_change else 0 end) as contraction_mrr,
        sum(case when mrr_movement = 'churn' then mrr_change else 0 end) as churned_mrr,
        sum(mrr_change) as net
    from {{ ref('mrr_movements') }}
    group by currency, month
),

months as (
    {{ stripe_to_segment.months_of('movements') }}
),

filled as (
    select
        months.currency,
        months.month,
        coalesce(movements.imported_mrr, 0) as imported_mrr,
        coalesce(movements.new_mrr, 0) as new_mrr,
        coalesce(movements.expansion_mrr, 0) as expansion_mrr,
        coalesce(movements.reactivation_mrr, 0) as reactivation_mrr,
        coalesce(movements.contraction_mrr, 0) as contraction_mrr,
        coalesce(movements.churned_mrr, 0) as churned_mrr,
        coalesce(movements.net, 0) as net,
        sum(coalesce(movements.net, 0)) over (
            partition by months.currency order by months.month rows between unbounded preceding and current row
        ) as closing_mrr
    from months
    left join movements on months.currency = movements.currency and months.month = movements.month
)

select
    month,
    currency,
    closing_mrr - net as opening_mrr,
    imported_mrr,
    new_mrr,
    expansion_mrr,
    reactivation_mrr,
    contraction_mrr,
    churned_mrr,
    closing_mrr
from filled
