{#- Where the calls lie: the table of an event or of identifies, and the columns that it has. -#}

{#- The table of this name, or none where the warehouse has not made it yet: an event's table comes with its first call. -#}
{% macro told_table(name) %}
    {%- set database = var('stripe_to_segment_database') or target.database -%}
    {%- set schema = stripe_to_segment.stored_name(var('stripe_to_segment_schema')) -%}
    {%- do return(adapter.get_relation(
        database=database, schema=schema, identifier=stripe_to_segment.stored_name(name)
    )) -%}
{% endmacro %}

{#- Where nothing lies at all, it is mostly the wrong place: every model would be empty, and nobody would know why. -#}
{% macro must_have_the_schema() %}
    {%- set database = var('stripe_to_segment_database') or target.database -%}
    {%- set schema = stripe_to_segment.stored_name(var('stripe_to_segment_schema')) -%}
    {%- if execute and not adapter.check_schema_exists(database, schema) -%}
        {%- do exceptions.raise_compiler_error(
            'there is no schema ' ~ schema ~ ' in ' ~ database ~ ': set the var stripe_to_segment_schema to that of your '
            ~ 'source, and stripe_to_segment_database to where it is'
        ) -%}
    {%- endif -%}
{% endmacro %}

{#- The tables of these events that are there, each with its event; a table that several events share stands once.
    An event has a table of its name: that of today, and that which it had before RenameEvents gave it another one.
    `apart` are the events that the models tell apart, which the rows of a shared table do not. -#}
{% macro event_tables(events, apart) %}
    {%- set renamed = var('stripe_to_segment_rename_events') or {} -%}
    {%- set plan = stripe_to_segment.tracking_plan() -%}
    {%- set writers, names = {}, {} -%}
    {%- for event in plan -%}
        {%- set name = stripe_to_segment.snake_case(renamed.get(event, event)) -%}
        {%- do writers.setdefault(name, []).append(event) -%}
    {%- endfor -%}
    {%- for event in events if event not in renamed -%}
        {%- do names.update({stripe_to_segment.snake_case(event): event}) -%}
    {%- endfor -%}
    {%- for event in events if event in renamed -%}
        {%- do names.setdefault(stripe_to_segment.snake_case(renamed[event]), event) -%}
    {%- endfor -%}
    {%- for event in events if event in renamed and stripe_to_segment.snake_case(event) not in writers -%}
        {%- do names.update({stripe_to_segment.snake_case(event): event}) -%}
    {%- endfor -%}
    {%- for name, sharing in writers.items() if name in names and sharing | length > 1 -%}
        {%- if sharing | select('in', apart) | list -%}
            {%- do exceptions.raise_compiler_error(
                'stripe_to_segment_rename_events gives ' ~ sharing | join(' and ') ~ ' one name: the models cannot tell '
                ~ 'them apart by their rows, so rename them to different names'
            ) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set tables = [] -%}
    {%- for name, event in names.items() -%}
        {%- set relation = stripe_to_segment.told_table(name) or stripe_to_segment.told_table(
            modules.re.sub('([a-z])([0-9])|([0-9])([a-z])', '\\1\\3_\\2\\4', name)
        ) -%}
        {%- if relation -%}
            {%- do tables.append((relation, event)) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- do return(tables) -%}
{% endmacro %}

{#- A name as Segment and RudderStack write it; RudderStack parts digits from letters too. -#}
{% macro snake_case(name) %}
    {%- set spaced = modules.re.sub('([a-z0-9])([A-Z])', '\\1_\\2', name) -%}
    {%- do return(modules.re.sub('[^a-z0-9]+', '_', spaced | lower).strip('_')) -%}
{% endmacro %}

{#- A name as the warehouse stores what was written without quotes. -#}
{% macro stored_name(name) %}
    {%- do return(adapter.dispatch('stored_name', 'stripe_to_segment')(name)) -%}
{% endmacro %}

{% macro default__stored_name(name) %}
    {%- do return(name) -%}
{% endmacro %}

{% macro snowflake__stored_name(name) %}
    {%- do return(name | upper) -%}
{% endmacro %}

{#- The columns of a table by lower-case name. RudderStack writes a name that the database reserves with `_` before it. -#}
{% macro columns_by_name(relation) %}
    {%- set found = {} -%}
    {%- for column in adapter.get_columns_in_relation(relation) -%}
        {%- do found.update({column.name | lower: column}) -%}
    {%- endfor -%}
    {%- do return(found) -%}
{% endmacro %}

{#- The names of the events of the tracking plan that have all of these properties. -#}
{% macro events_with(properties) %}
    {%- set found = [] -%}
    {%- for event, kinds in stripe_to_segment.tracking_plan().items() -%}
        {%- if properties | reject('in', kinds) | list | length == 0 -%}
            {%- do found.append(event) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- do return(found) -%}
{% endmacro %}
