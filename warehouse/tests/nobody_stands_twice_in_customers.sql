-- One row for each person and currency.
select
    person_id,
    currency
from {{ ref('customers') }}
group by person_id, currency
having count(*) > 1
