{#- One value of the warehouse in the type that the models count with. -#}

{#- An amount in major units, exact: warehouses hold amounts as binary fractions. -#}
{% macro money_type() %}
    {%- do return(adapter.dispatch('money_type', 'stripe_to_segment')()) -%}
{% endmacro %}

{% macro default__money_type() %}
    {%- do return('numeric(28, 6)') -%}
{% endmacro %}

{% macro bigquery__money_type() %}
    {%- do return('numeric') -%}
{% endmacro %}

{#- A text of any length: Redshift's `text` has 256 characters. -#}
{% macro text_type() %}
    {%- do return(adapter.dispatch('text_type', 'stripe_to_segment')()) -%}
{% endmacro %}

{% macro default__text_type() %}
    {%- do return(dbt.type_string()) -%}
{% endmacro %}

{% macro redshift__text_type() %}
    {%- do return('varchar(1024)') -%}
{% endmacro %}

{#- A moment without a time zone; what Snowflake's `timestamp` is depends on a setting. -#}
{% macro moment_type() %}
    {%- do return(adapter.dispatch('moment_type', 'stripe_to_segment')()) -%}
{% endmacro %}

{% macro default__moment_type() %}
    {%- do return(dbt.type_timestamp()) -%}
{% endmacro %}

{% macro snowflake__moment_type() %}
    {%- do return('timestamp_ntz') -%}
{% endmacro %}

{#- A share, which needs no exactness. -#}
{% macro float_type() %}
    {%- do return(adapter.dispatch('float_type', 'stripe_to_segment')()) -%}
{% endmacro %}

{% macro default__float_type() %}
    {%- do return('double precision') -%}
{% endmacro %}

{% macro bigquery__float_type() %}
    {%- do return('float64') -%}
{% endmacro %}

{% macro boolean_type() %}
    {%- do return('boolean') -%}
{% endmacro %}

{#- A moment in UTC, without a time zone. -#}
{% macro moment(column) %}
    {%- do return(adapter.dispatch('moment', 'stripe_to_segment')(column)) -%}
{% endmacro %}

{% macro default__moment(column) %}
    {%- set quoted = adapter.quote(column.name) -%}
    {%- set type = column.dtype | lower -%}
    {%- if column.is_string() -%}
        {%- do return("cast(replace(" ~ quoted ~ ", 'Z', '') as " ~ stripe_to_segment.moment_type() ~ ")") -%}
    {%- elif 'with time zone' in type or 'timestamptz' in type -%}
        {%- do return("cast(" ~ quoted ~ " at time zone 'UTC' as " ~ stripe_to_segment.moment_type() ~ ")") -%}
    {%- endif -%}
    {%- do return("cast(" ~ quoted ~ " as " ~ stripe_to_segment.moment_type() ~ ")") -%}
{% endmacro %}

{% macro snowflake__moment(column) %}
    {%- set quoted = adapter.quote(column.name) -%}
    {%- if column.is_string() -%}
        {%- do return("cast(convert_timezone('UTC', to_timestamp_tz(" ~ quoted ~ ")) as timestamp_ntz)") -%}
    {%- elif (column.dtype | upper) in ('TIMESTAMP_TZ', 'TIMESTAMP_LTZ') -%}
        {%- do return("cast(convert_timezone('UTC', " ~ quoted ~ ") as timestamp_ntz)") -%}
    {%- endif -%}
    {%- do return("cast(" ~ quoted ~ " as timestamp_ntz)") -%}
{% endmacro %}

{% macro bigquery__moment(column) %}
    {%- do return("cast(" ~ adapter.quote(column.name) ~ " as timestamp)") -%}
{% endmacro %}

{#- A column in the type of its kind in the tracking plan; null where the table does not have it (yet). -#}
{% macro typed(columns, name, kind) %}
    {%- set column = columns.get(name) or columns.get('_' ~ name) -%}
    {#- One type alone: a model has hundreds of columns, and to ask for every type took dbt half of its time. -#}
    {%- if kind in ('money', 'decimal') -%}
        {%- set type = stripe_to_segment.money_type() -%}
    {%- elif kind == 'integer' -%}
        {%- set type = dbt.type_bigint() -%}
    {%- elif kind == 'boolean' -%}
        {%- set type = stripe_to_segment.boolean_type() -%}
    {%- elif kind == 'time' -%}
        {%- set type = stripe_to_segment.moment_type() -%}
    {%- else -%}
        {%- set type = stripe_to_segment.text_type() -%}
    {%- endif -%}
    {%- if column is none -%}
        {%- do return("cast(null as " ~ type ~ ")") -%}
    {%- elif kind == 'time' -%}
        {%- do return(stripe_to_segment.moment(column)) -%}
    {%- endif -%}
    {%- do return("cast(" ~ adapter.quote(column.name) ~ " as " ~ type ~ ")") -%}
{% endmacro %}
