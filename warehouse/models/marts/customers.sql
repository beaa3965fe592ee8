with paid as (
    select
        person_id,
        currency,
        count(*) as payments,
        sum(total) as collected,
        sum(revenue) as revenue,
        min(paid_at) as first_payment_at,
        max(paid_at) as last_payment_at
    from {{ ref('payments') }}
    group by person_id, currency
),

gone_back as (
    select
        back.person_id,
        back.currency,
        sum(back.amount) as gone_back
    from {{ ref('refunds_and_disputes') }} as back
    left join (select distinct order_id from {{ ref('payments') }}) as payments on back.order_id = payments.order_id
    -- What is given back of a payment that was never told (from before the stack, or only remembered by an import) lowers
    -- nothing that was counted. A credit note is one for an invoice, which an earlier payment may have paid.
    where payments.order_id is not null or back.kind in ('credit_note', 'credit_note_voided')
    group by back.person_id, back.currency
),

recurring as (
    select
        person_id,
        currency,
        sum(mrr) as mrr,
        sum(case when status in ('active', 'past_due', 'trialing') then 1 else 0 end) as live_subscriptions,
        count(*) as subscriptions
    from {{ ref('subscriptions') }}
    group by person_id, currency
),

told as (
    select
        coalesce(identifies.user_id, people.user_id, identifies.anonymous_id) as person_id,
        identifies.occurred_at,
        identifies.received_at,
        identifies.call_id,
        identifies.stripe_customer_id,
        identifies.email,
        identifies.name
    from {{ ref('stg_stripe__identifies') }} as identifies
    {{ stripe_to_segment.join_people('identifies') }}
),

newest as (
    select
        told.*,
        row_number() over (partition by person_id order by occurred_at desc, received_at desc, call_id) as age
    from told
),

known as (
    select
        person_id,
        min(occurred_at) as first_seen_at
    from told
    group by person_id
),

in_currency as (
    select
        person_id,
        currency
    from (
        select person_id, currency from paid
        union all
        select person_id, currency from gone_back
        union all
        select person_id, currency from recurring
        union all
        select person_id, currency from {{ ref('stg_stripe__told_worth') }}
    ) as each_time
    group by person_id, currency
),

everybody as (
    select person_id, currency from in_currency
    union all
    select
        known.person_id,
        cast(null as {{ stripe_to_segment.text_type() }}) as currency
    from known
    left join in_currency on known.person_id = in_currency.person_id
    where in_currency.person_id is null
)

select
    everybody.person_id,
    everybody.currency,
    newest.stripe_customer_id,
    newest.email,
    newest.name,
    known.first_seen_at,
    coalesce(paid.payments, 0) as payments,
    coalesce(paid.collected, 0) as collected,
    coalesce(paid.revenue, 0) as revenue,
    coalesce(gone_back.gone_back, 0) as gone_back,
    coalesce(paid.collected, 0) - coalesce(gone_back.gone_back, 0) as lifetime_value,
    told_worth.lifetime_value as lifetime_value_told,
    paid.first_payment_at,
    paid.last_payment_at,
    coalesce(recurring.mrr, 0) as mrr,
    coalesce(recurring.live_subscriptions, 0) as live_subscriptions,
    coalesce(recurring.subscriptions, 0) as subscriptions
from everybody
left join known on everybody.person_id = known.person_id
left join newest on everybody.person_id = newest.person_id and newest.age = 1
left join {{ ref('stg_stripe__told_worth') }} as told_worth
    on everybody.person_id = told_worth.person_id and everybody.currency = told_worth.currency
left join paid on everybody.person_id = paid.person_id and everybody.currency = paid.currency
left join gone_back on everybody.person_id = gone_back.person_id and everybody.currency = gone_back.currency
left join recurring on everybody.person_id = recurring.person_id and everybody.currency = recurring.currency
