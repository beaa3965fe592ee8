-- Who an anonymous id turned out to be: an identify with both ids joins them, and the last one counts.
select
    anonymous_id,
    user_id
from (
    select
        anonymous_id,
        user_id,
        row_number() over (partition by anonymous_id order by occurred_at desc, received_at desc, call_id) as newest
    from {{ ref('stg_stripe__identifies') }}
    where anonymous_id is not null and user_id is not null
) as joined
where newest = 1
