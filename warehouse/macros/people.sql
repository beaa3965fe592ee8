{#- Who a call of `table` is about: the user, else whom its anonymous id turned out to be (`people`), else that id. -#}
{% macro person(table) -%}
    coalesce({{ table }}.user_id, people.user_id, {{ table }}.anonymous_id)
{%- endmacro %}

{% macro join_people(table) -%}
    left join {{ ref('stg_stripe__people') }} as people on {{ table }}.anonymous_id = people.anonymous_id
{%- endmacro %}
