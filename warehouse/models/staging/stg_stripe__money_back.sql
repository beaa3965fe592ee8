{%- set events = stripe_to_segment.events_with(['of_known_payment']) + stripe_to_segment.events_with(['credit_note_id']) -%}
{{ stripe_to_segment.staged(
    events,
    [
        'order_id', 'invoice_id', 'charge_id', 'refund_id', 'dispute_id', 'credit_note_id', 'currency', 'total', 'value',
        'out_of_band', 'revenue_refunded', 'tax_refunded', 'of_known_payment', 'reason', 'status',
    ],
    apart=events
) }}
