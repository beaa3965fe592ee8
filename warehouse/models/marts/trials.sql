with told as (
    select
        told.*,
        {{ stripe_to_segment.person('told') }} as person_id
    from {{ ref('stg_stripe__subscription_events') }} as told
    {{ stripe_to_segment.join_people('told') }}
),

started as (
    select
        call_id,
        subscription_id,
        person_id,
        currency,
        plan,
        occurred_at as started_at,
        trial_end_date as planned_end_at,
        lead(occurred_at) over (partition by subscription_id order by occurred_at, call_id) as next_started_at
    from told
    where event = 'Trial Started'
)

select
    started.call_id,
    started.subscription_id,
    started.person_id,
    started.currency,
    started.plan,
    started.started_at,
    {{ stripe_to_segment.month_of('started.started_at') }} as started_month,
    started.planned_end_at,
    min(case when told.event = 'Trial Ended' then told.occurred_at end) as ended_at,
    min(case when told.event = 'Trial Converted' then told.occurred_at end) as converted_at,
    case
        when min(case when told.event = 'Trial Converted' then 1 end) = 1 then 'converted'
        when min(case when told.event in ('Subscription Cancelled', 'Subscription Expired') then 1 end) = 1 then 'lost'
        when min(case when told.event = 'Trial Ended' and not coalesce(told.converted, true) then 1 end) = 1 then 'lost'
        when min(case when told.event = 'Trial Ended' then 1 end) = 1 then 'unpaid'
        else 'running'
    end as outcome
from started
left join told
    on
        started.subscription_id = told.subscription_id
        and told.occurred_at >= started.started_at
        and told.occurred_at < coalesce(started.next_started_at, {{ stripe_to_segment.far_future() }})
        and told.event in ('Trial Ended', 'Trial Converted', 'Subscription Cancelled', 'Subscription Expired')
group by
    started.call_id,
    started.subscription_id,
    started.person_id,
    started.currency,
    started.plan,
    started.started_at,
    started.planned_end_at
