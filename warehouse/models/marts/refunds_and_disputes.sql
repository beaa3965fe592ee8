with told as (
    select
        *,
        case event
            when 'Order Refunded' then 'refund'
            when 'Refund Failed' then 'refund_failed'
            when 'Payment Disputed' then 'dispute'
            when 'Dispute Escalated' then 'dispute_escalated'
            when 'Dispute Won' then 'dispute_won'
            when 'Dispute Lost' then 'dispute_lost'
            when 'Credit Note Issued' then 'credit_note'
            when 'Credit Note Voided' then 'credit_note_voided'
        end as kind
    from {{ ref('stg_stripe__money_back') }}
),

-- A dispute takes the money when it begins, an inquiry when it escalates, and one that was prevented never; won, it gives
-- the money back.
takings as (
    select
        dispute_id,
        kind,
        coalesce(value, 0) as taken
    from told
    where
        kind = 'dispute_escalated'
        or (kind = 'dispute' and status in ('needs_response', 'under_review', 'won', 'lost'))
),

disputes as (
    select
        dispute_id,
        max(taken) as taken,
        min(kind) as taken_by
    from takings
    group by dispute_id
),

-- A refund or a dispute names no customer: told before its payment, it is nobody's until the payment says whose.
payers as (
    select
        payments.order_id,
        min({{ stripe_to_segment.person('payments') }}) as person_id
    from {{ ref('stg_stripe__payments') }} as payments
    {{ stripe_to_segment.join_people('payments') }}
    group by payments.order_id
)

select
    told.call_id,
    told.kind,
    coalesce(told.refund_id, told.dispute_id, told.credit_note_id) as object_id,
    told.order_id,
    told.charge_id,
    told.occurred_at,
    {{ stripe_to_segment.day_of('told.occurred_at') }} as occurred_on,
    coalesce(told.user_id, people.user_id, payers.person_id, told.anonymous_id) as person_id,
    told.user_id,
    told.anonymous_id,
    told.group_id,
    told.currency,
    case told.kind
        when 'refund' then coalesce(told.total, 0)
        when 'refund_failed' then -coalesce(told.total, 0)
        when 'dispute' then case when disputes.taken_by = 'dispute' then disputes.taken else 0 end
        when 'dispute_escalated' then case when disputes.taken_by = 'dispute' then 0 else disputes.taken end
        when 'dispute_won' then -coalesce(disputes.taken, 0)
        when 'dispute_lost' then case when disputes.taken is null then coalesce(told.value, 0) else 0 end
        when 'credit_note' then coalesce(told.out_of_band, 0)
        when 'credit_note_voided' then -coalesce(told.out_of_band, 0)
    end as amount,
    told.revenue_refunded,
    told.tax_refunded,
    -- A credit note is always one for an invoice that was told.
    coalesce(told.of_known_payment, true) as of_known_payment,
    told.reason,
    told.status,
    told.stripe_event_id
from told
left join disputes on told.dispute_id = disputes.dispute_id
left join payers on told.order_id = payers.order_id
{{ stripe_to_segment.join_people('told') }}
