{%- do stripe_to_segment.must_have_the_schema() -%}
{%- set columns = {
    'stripe_customer_id': 'string',
    'currency': 'string',
    'mrr': 'money',
    'lifetime_value': 'money',
    'plan': 'string',
    'subscription_status': 'string',
    'subscription_count': 'integer',
    'created_at': 'time',
    'email': 'string',
    'name': 'string',
} %}
with told as (
    {{ stripe_to_segment.selected(
        stripe_to_segment.told_table('identifies') if execute else none, 'identify', columns
    ) }}
)

{{ stripe_to_segment.each_once('told', columns) }}
