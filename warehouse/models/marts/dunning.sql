with told as (
    select
        unpaid.*,
        {{ stripe_to_segment.person('unpaid') }} as person_id,
        coalesce(unpaid.invoice_id, unpaid.order_id) as case_id
    from {{ ref('stg_stripe__unpaid') }} as unpaid
    {{ stripe_to_segment.join_people('unpaid') }}
),

attempts as (
    select
        told.*,
        row_number() over (partition by case_id order by occurred_at desc, received_at desc, call_id) as age
    from told
    where event = 'Payment Failed'
),

failed as (
    select
        case_id,
        min(occurred_at) as first_failed_at,
        max(occurred_at) as last_failed_at,
        count(*) as attempts
    from attempts
    group by case_id
),

given_up as (
    select
        case_id,
        min(case when event = 'Invoice Voided' then occurred_at end) as voided_at,
        min(case when event = 'Invoice Written Off' then occurred_at end) as written_off_at
    from told
    where event in ('Invoice Voided', 'Invoice Written Off')
    group by case_id
),

-- A part of an invoice recovers nothing yet; once the rest came, all of it is recovered.
recovered as (
    select
        order_id,
        max(case when invoice_payment_id is null then paid_at end) as paid_at,
        sum(total) as total
    from {{ ref('payments') }}
    group by order_id
),

judged as (
    select
        failed.case_id,
        attempts.invoice_id,
        attempts.subscription_id,
        attempts.person_id,
        attempts.currency,
        attempts.value,
        failed.first_failed_at,
        {{ stripe_to_segment.month_of('failed.first_failed_at') }} as first_failed_month,
        failed.last_failed_at,
        failed.attempts,
        attempts.next_payment_attempt,
        attempts.failure_code,
        attempts.decline_code,
        attempts.payment_method_type,
        attempts.card_brand,
        recovered.paid_at as recovered_at,
        case when recovered.paid_at is not null then recovered.total end as recovered,
        given_up.voided_at,
        given_up.written_off_at,
        case when subscriptions.ended_at >= failed.first_failed_at then subscriptions.ended_at end
            as subscription_ended_at
    from failed
    inner join attempts on failed.case_id = attempts.case_id and attempts.age = 1
    left join recovered on failed.case_id = recovered.order_id
    left join given_up on failed.case_id = given_up.case_id
    left join {{ ref('subscriptions') }} as subscriptions on attempts.subscription_id = subscriptions.subscription_id
)

select
    judged.*,
    case
        when recovered_at is not null then 'recovered'
        when written_off_at is not null then 'written_off'
        when voided_at is not null then 'voided'
        when subscription_ended_at is not null then 'lost'
        else 'open'
    end as outcome
from judged
