with told as (
    select * from {{ ref('stg_stripe__subscription_events') }}
    where coalesce(mrr_change, 0) <> 0
)

select
    told.call_id,
    told.occurred_at as moved_at,
    {{ stripe_to_segment.day_of('told.occurred_at') }} as moved_on,
    {{ stripe_to_segment.month_of('told.occurred_at') }} as month,
    told.subscription_id,
    {{ stripe_to_segment.person('told') }} as person_id,
    told.user_id,
    told.anonymous_id,
    told.group_id,
    told.currency,
    told.mrr_change,
    told.mrr_movement,
    told.mrr,
    told.event,
    told.plan,
    told.previous_plan,
    told.billing_period,
    told.quantity,
    told.stripe_event_id
from told
{{ stripe_to_segment.join_people('told') }}
