{#- A moment as its day, or as the first day of its month, in UTC. -#}
{% macro day_of(moment) -%}
    cast({{ dbt.date_trunc('day', moment) }} as date)
{%- endmacro %}

{% macro month_of(moment) -%}
    cast({{ dbt.date_trunc('month', moment) }} as date)
{%- endmacro %}

{#- The last month that a monthly model shows, as its first day. -#}
{% macro last_month() -%}
    {%- if var('stripe_to_segment_until') -%}
    {{ stripe_to_segment.month_of("cast('" ~ var('stripe_to_segment_until') ~ "' as " ~ stripe_to_segment.moment_type() ~ ")") }}
    {%- else -%}
    {{ stripe_to_segment.month_of(stripe_to_segment.now_in_utc()) }}
    {%- endif -%}
{%- endmacro %}

{#- This moment in UTC: `now()` of Postgres and DuckDB is cut off into days by the time zone of the session. -#}
{% macro now_in_utc() -%}
    {%- do return(adapter.dispatch('now_in_utc', 'stripe_to_segment')()) -%}
{%- endmacro %}

{% macro default__now_in_utc() -%}
    {%- do return(dbt.current_timestamp()) -%}
{%- endmacro %}

{% macro postgres__now_in_utc() -%}
    {%- do return("(now() at time zone 'UTC')") -%}
{%- endmacro %}

{% macro duckdb__now_in_utc() -%}
    {%- do return("(now() at time zone 'UTC')") -%}
{%- endmacro %}

{% macro redshift__now_in_utc() -%}
    {%- do return('getdate()') -%}
{%- endmacro %}

{#- The numbers from 0 to 1199, a hundred years of months. -#}
{% macro numbers() -%}
    select ones.n + 10 * tens.n + 100 * hundreds.n as n
    from ({{ stripe_to_segment.counted(10) }}) as ones
    cross join ({{ stripe_to_segment.counted(10) }}) as tens
    cross join ({{ stripe_to_segment.counted(12) }}) as hundreds
{%- endmacro %}

{% macro counted(size) -%}
    {%- for n in range(size) -%}
    select {{ n }} as n{% if not loop.last %} union all {% endif %}
    {%- endfor -%}
{%- endmacro %}

{#- Each currency of a table with each month from its first one to the last that is shown. -#}
{% macro months_of(table) -%}
    select
        bounds.currency,
        cast({{ dbt.dateadd('month', 'numbers.n', 'bounds.first_month') }} as date) as month
    from (
        select
            currency,
            min(month) as first_month,
            max(month) as newest_month
        from {{ table }}
        group by currency
    ) as bounds
    cross join ({{ stripe_to_segment.numbers() }}) as numbers
    where
        numbers.n <= {{ dbt.datediff('bounds.first_month', 'greatest(bounds.newest_month, ' ~ stripe_to_segment.last_month() ~ ')', 'month') }}
{%- endmacro %}

{% macro far_future() -%}
    cast('9999-12-31 00:00:00' as {{ stripe_to_segment.moment_type() }})
{%- endmacro %}
