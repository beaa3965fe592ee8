with counted as (
    select
        started_month as month,
        currency,
        count(*) as started,
        sum(case when outcome = 'running' then 1 else 0 end) as running,
        sum(case when outcome = 'converted' then 1 else 0 end) as converted,
        sum(case when outcome = 'unpaid' then 1 else 0 end) as unpaid,
        sum(case when outcome = 'lost' then 1 else 0 end) as lost
    from {{ ref('trials') }}
    group by started_month, currency
)

select
    month,
    currency,
    started,
    running,
    converted,
    unpaid,
    lost,
    cast(converted as {{ stripe_to_segment.float_type() }}) / nullif(started - running, 0) as conversion_rate
from counted
