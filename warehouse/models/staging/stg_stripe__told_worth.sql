{#- An object by currency is a column for each currency that was ever told. -#}
{%- set told = 'lifetime_value_by_currency_' -%}
{%- set identifies = stripe_to_segment.told_table('identifies') if execute else none -%}
{%- set found = stripe_to_segment.columns_by_name(identifies) if identifies else {} -%}
{%- set codes = [] -%}
{%- for name in found if name.startswith(told) -%}
    {%- do codes.append(name[told | length:]) -%}
{%- endfor -%}
with newest as (
    select *
    from (
        select
            identifies.*,
            coalesce(identifies.user_id, people.user_id, identifies.anonymous_id) as person_id,
            row_number() over (
                partition by coalesce(identifies.user_id, people.user_id, identifies.anonymous_id)
                order by identifies.occurred_at desc, identifies.received_at desc, identifies.call_id
            ) as age
        from {{ ref('stg_stripe__identifies') }} as identifies
        {{ stripe_to_segment.join_people('identifies') }}
        where identifies.lifetime_value is not null
    ) as numbered
    where age = 1
),

worth as (
    {%- for code in codes %}
    select
        {{ stripe_to_segment.typed(found, 'id', 'string') }} as call_id,
        cast('{{ code | upper }}' as {{ stripe_to_segment.text_type() }}) as currency,
        {{ stripe_to_segment.typed(found, told ~ code, 'money') }} as lifetime_value
    from {{ identifies }}
    union all
    {%- endfor %}
    select
        cast(null as {{ stripe_to_segment.text_type() }}) as call_id,
        cast(null as {{ stripe_to_segment.text_type() }}) as currency,
        cast(null as {{ stripe_to_segment.money_type() }}) as lifetime_value
    from (select 1 as nothing) as no_currency
    where 1 = 0
)

select
    newest.person_id,
    worth.currency,
    max(worth.lifetime_value) as lifetime_value
from newest
inner join worth on newest.call_id = worth.call_id
where worth.lifetime_value is not null
group by newest.person_id, worth.currency
