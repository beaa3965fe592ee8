{#- The user whom `stripe-to-segment prime` speaks of; nothing that it told is a number of the business. -#}
{% macro primer_user() %}
    {%- do return('stripe-to-segment-primer') -%}
{% endmacro %}

{#- When it happened: the time of Stripe's event, which is the earlier of two columns. Segment moves `timestamp` by the
    time that a request took and keeps what was sent in `original_timestamp`; RudderStack keeps it in `timestamp` and
    puts the time of receipt into the other. -#}
{% macro occurred_at(columns) %}
    {%- set told = [] -%}
    {%- for name in ('original_timestamp', 'timestamp', 'received_at') -%}
        {%- if columns.get(name) or columns.get('_' ~ name) -%}
            {%- do told.append(stripe_to_segment.typed(columns, name, 'time')) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if told | length < 2 -%}
        {%- do return(told | first or stripe_to_segment.typed(columns, 'timestamp', 'time')) -%}
    {%- endif -%}
    {%- do return("least(coalesce(" ~ told[0] ~ ", " ~ told[1] ~ "), coalesce(" ~ told[1] ~ ", " ~ told[0] ~ "))") -%}
{% endmacro %}

{#- What every call has, and these further columns, from one table; no rows where there is no table. -#}
{% macro selected(relation, event, columns) %}
    {%- set found = stripe_to_segment.columns_by_name(relation) if relation else {} %}
    select
        {{ stripe_to_segment.typed(found, 'id', 'string') }} as call_id,
        cast('{{ event }}' as {{ stripe_to_segment.text_type() }}) as event,
        {{ stripe_to_segment.occurred_at(found) }} as occurred_at,
        {{ stripe_to_segment.typed(found, 'received_at', 'time') }} as received_at,
        {{ stripe_to_segment.typed(found, 'user_id', 'string') }} as user_id,
        {{ stripe_to_segment.typed(found, 'anonymous_id', 'string') }} as anonymous_id,
        {{ stripe_to_segment.typed(found, 'context_group_id', 'string') }} as group_id,
        {{ stripe_to_segment.typed(found, 'context_stripe_event_id', 'string') }} as stripe_event_id
        {%- for name, kind in columns.items() %},
        {{ stripe_to_segment.typed(found, name, kind) }} as {{ name }}
        {%- endfor %}
    {%- if relation %}
    from {{ relation }}
    {%- else %}
    from (select 1 as nothing) as no_table
    where 1 = 0
    {%- endif %}
{% endmacro %}

{#- The calls of these events as one table, each once: where a call came again, its first arrival. The models tell the
    events `apart` from all others. -#}
{% macro staged(events, properties, apart=[]) %}
    {%- set plan = stripe_to_segment.tracking_plan() -%}
    {%- set columns = {} -%}
    {%- for name in properties -%}
        {%- for event in events if name in plan[event] -%}
            {%- do columns.update({name: plan[event][name]}) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- set tables = stripe_to_segment.event_tables(events, apart) if execute else [] -%}
with told as (
    {%- for relation, event in (tables or [(none, events[0])]) %}
    {{ stripe_to_segment.selected(relation, event, columns) }}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
)

{{ stripe_to_segment.each_once('told', columns) }}
{% endmacro %}

{#- The rows of a table of calls, each call once and without the primer's. -#}
{% macro each_once(told, columns) %}
select
    call_id,
    event,
    occurred_at,
    received_at,
    user_id,
    anonymous_id,
    group_id,
    stripe_event_id
    {%- for name in columns %},
    {{ name }}
    {%- endfor %}
from (
    select
        {{ told }}.*,
        row_number() over (partition by call_id order by received_at) as arrival
    from {{ told }}
    where coalesce(user_id, '') <> '{{ stripe_to_segment.primer_user() }}'
) as numbered
where arrival = 1
{% endmacro %}
