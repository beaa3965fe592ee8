"""Dictionaries for compression: text that most records contain, which makes each record a third smaller.

Never change one: records that were compressed with it could not be read any more. When the content of records has
changed much, add another and raise `encoding.FORMAT`. https://docs.python.org/3/library/zlib.html#zlib.compressobj
"""

from __future__ import annotations

__all__ = ["DICTIONARIES"]

FIRST = (
    b'{"user_id":"user_","anonymous_id":"","group_id":"","opted_out":true,"consent":{},"told":{"user_id":17,"group_id":17}'
    b',"customer_created":17,"stranger":"cus_","joined":true,"shown":"","deleted":true,"subscriptions":{"sub_1":{"as_of":'
    b'[17,1],"status":"active","plan":"","price_id":"price_1","mrr":1000,"currency":"usd","period":"month","quantity":1,'
    b'"trial_end":null,"cancels_at":null,"came_from":"","was":"active","lost":null,"lost_as_of":[0,0]}},"paid":{"usd":1000'
    b'},"delivery":"","busy_until":17,"claims":{"":{"tracks":[""],"shows":true,"joins":true,"groups":true,"day":20},"":{'
    b'"tracks":[""],"day":20}}}\n'
    b'{"type":"track","messageId":"","timestamp":"202","userId":"user_","anonymousId":"cus_","context":{"library":{"name":'
    b'"stripe-to-segment","version":"0.1.0"},"active":false,"stripe":{"event_id":"evt_1","event_type":"customer.subscription'
    b'.deleted","account":"acct_1","identity":"metadata"},"groupId":"","consent":{"categoryPreferences":{}},"externalIds":[{'
    b'"id":"cus_","type":"stripe_customer_id","collection":"users","encoding":"none"}]},"integrations":{"All":true},"event":'
    b'"Trial Converted","properties":{"subscription_id":"sub_1","status":"trialing","plan":"","trial_start_date":"",'
    b'"trial_end_date":"","converted":true,"previous_plan":"","previous_mrr":0,"changed":["plan","quantity"],"cancels_at":'
    b'"","reason":"cancellation_requested","feedback":"too_expensive","cancelled_by":"customer","days_active":30}}\n'
    b'{"type":"track","messageId":"","timestamp":"202","userId":"","anonymousId":"","context":{"library":{"name":'
    b'"stripe-to-segment","version":"0.1.0"},"active":false,"stripe":{"event_id":"evt_1","event_type":"invoice.paid",'
    b'"identity":"unknown"},"externalIds":[{"id":"cus_","type":"stripe_customer_id","collection":"users","encoding":"none"}'
    b']},"event":"Order Completed","properties":{"order_id":"in_1","checkout_id":"cs_live_","total":1,"revenue":1,'
    b'"subtotal":1,"tax":0,"shipping":0,"discount":0,"currency":"EUR","products":[{"product_id":"prod_","name":"1 x ",'
    b'"price":1,"quantity":1}],"invoice_id":"in_1","billing_reason":"subscription_create","subscription_id":"sub_1","plan":'
    b'"","price_id":"price_1","product_id":"prod_","quantity":1}}\n'
    b'{"type":"track","messageId":"","timestamp":"202","userId":"","anonymousId":"","context":{"library":{"name":'
    b'"stripe-to-segment","version":"0.1.0"},"active":false,"stripe":{"event_id":"evt_1","event_type":"customer.subscription'
    b'.updated","identity":"client_reference_id"},"externalIds":[{"id":"cus_","type":"stripe_customer_id","collection":'
    b'"users","encoding":"none"}]},"event":"Subscription Renewed","properties":{"billing_reason":"subscription_cycle",'
    b'"subscription_id":"sub_1","status":"active","plan":"","price_id":"price_1","product_id":"prod_","quantity":1,'
    b'"billing_period":"month","amount":1,"currency":"USD","mrr":1,"mrr_change":1}}'
)

# The text of release 0.2; the most frequent stands last, where references to it are shortest.
SECOND = (
    b'"event_type":"payment_method.attached","identity":"unknown"},"externalIds":[{"id":"cus_","type":"stripe_cust'
    b'omer_id","collection":"users","encoding":"none"}]},"event":"Payment Method Added","properties":{"payment_met'
    b'hod_id":"pm_1","payment_method_type":"card","card_brand":"visa","card_expires_at":"202"}}\n'
    b'"event_type":"charge.dispute.created"},"event":"Payment Disputed","properties":{"order_id":"in_1","dispute_i'
    b'd":"du_1","charge_id":"ch_1","reason":"fraudulent","status":"needs_response","network_reason_code":"10.4","e'
    b'vidence_due_by":"202"}}\n'
    b'"event_type":"refund.created"},"event":"Order Refunded","properties":{"order_id":"in_1","total":1,"currency"'
    b':"USD","charge_id":"ch_1","refund_id":"re_1","reason":"requested_by_customer","revenue_refunded":1,"tax_refu'
    b'nded":0,"of_known_payment":true,"status":"succeeded","refunded_total":1,"fully_refunded":true}}\n'
    b'"event_type":"invoice.payment_failed"},"event":"Payment Failed","properties":{"order_id":"in_1","value":1,"c'
    b'urrency":"USD","attempt_count":1,"next_payment_attempt":"202","failure_code":"card_declined","decline_code":'
    b'"insufficient_funds","failure_message":"","invoice_id":"in_1"}}\n'
    b'"event_type":"checkout.session.completed","identity":"client_reference_id"},"event":"Checkout Completed","pr'
    b'operties":{"checkout_id":"cs_","mode":"subscription","payment_status":"paid","value":1,"subtotal":1,"currenc'
    b'y":"USD","discount":0,"tax":0,"shipping":0,"coupon":""}}\n'
    b'"event_type":"invoice.finalized"},"event":"Invoice Finalized","properties":{"invoice_id":"in_1","due_date":"'
    b'202","collection_method":"charge_automatically"}}\n'
    b'"event_type":"customer.subscription.created"},"event":"Subscription Created","event":"Trial Converted","prop'
    b'erties":{"subscription_id":"sub_1","trial_start_date":"202","trial_end_date":"202","trial_plan_name":"","con'
    b'verted":true,"cancels_at":"202","reason":"cancellation_requested","feedback":"too_expensive","cancelled_by":'
    b'"customer","days_active":30}}\n'
    b'{"user_id":"","subscriptions":{"sub_1":{"as_of":[17,1],"status":"trialing","mrr":1,"currency":"eur","cancels'
    b'_at":17,"trialed":17,"converted":17,"moved":17,"on_trial":true,"unvalued":{"currency":"usd","items":[{"id":"'
    b'si_1","discounts":["di_1"],"price":{"id":"price_1","unit_amount":1,"unit_amount_decimal":"1","recurring":{"i'
    b'nterval":"month","interval_count":1,"meter":null,"usage_type":"licensed"},"billing_scheme":"per_unit"},"plan'
    b'":{"id":"price_1"}}]}}},"failed":[{"told_as":"in_1:1:17","keys":["in_1:1:17","pi_1:ch_1:17"],"stated_by":["i'
    b'nvoice","payment_intent"],"names":["in_1","pi_1"],"at":17,"value":1,"currency":"usd","why":["card_declined",'
    b'"insufficient_funds","card","visa"]}],"discounts":{"di_1":"{\\"id\\":\\"co_1\\",\\"percent_off\\":\\"12.5\\",\\"a'
    b'mount_off\\":1,\\"currency\\":\\"usd\\",\\"duration\\":\\"forever\\"}"},"own_discounts":["di_1"],"amounts":{"pric'
    b'e_1:eur":"1"},"invoiced":{"sub_1":17},"payments":{"in_1":{"currency":"eur","counted":true,"total":1,"revenue'
    b'":1,"tax":1,"paid_at":17,"stated_by":"in_1","intent":"pi_1","refunds":{"re_1":{"amount":1,"stands":true,"rev'
    b'enue":1,"tax":1,"told_by":"evt_1","running_total":1}},"disputes":{"du_1":{"withdrawn":1,"as_of":17}}}}}\n'
    b'{"type":"track","messageId":"","timestamp":"202","userId":"","context":{"library":{"name":"stripe-to-segment'
    b'","version":"0.1.0"},"active":false,"stripe":{"event_id":"evt_1","event_type":"customer.subscription.updated'
    b'","identity":"metadata"},"groupId":"","consent":{"categoryPreferences":{}},"externalIds":[{"id":"cus_","type'
    b'":"stripe_customer_id","collection":"users","encoding":"none"}]},"integrations":{"All":true},"event":"Subscr'
    b'iption Upgraded","properties":{"subscription_id":"sub_1","status":"active","plan":"","price_id":"price_1","p'
    b'roduct_id":"prod_1","quantity":1,"billing_period":"month","amount":1,"currency":"USD","mrr":1,"previous_plan'
    b'":"","previous_mrr":1,"previous_quantity":1,"previous_billing_period":"month","changed":["quantity"],"mrr_ch'
    b'ange":1,"mrr_movement":"expansion"}}\n'
    b'{"type":"track","messageId":"","timestamp":"202","anonymousId":"cus_","context":{"library":{"name":"stripe-t'
    b'o-segment","version":"0.1.0"},"active":false,"stripe":{"event_id":"evt_1","event_type":"invoice.paid","ident'
    b'ity":"remembered"},"externalIds":[{"id":"cus_","type":"stripe_customer_id","collection":"users","encoding":"'
    b'none"}]},"event":"Order Completed","event":"Invoice Paid","event":"Subscription Renewed","properties":{"orde'
    b'r_id":"in_1","total":1,"revenue":1,"subtotal":1,"tax":0,"shipping":0,"discount":0,"currency":"EUR","products'
    b'":[{"product_id":"prod_1","name":"1 x ","price":1,"quantity":1}],"invoice_id":"in_1","billing_reason":"subsc'
    b'ription_cycle","subscription_id":"sub_1","plan":"","price_id":"price_1","product_id":"prod_1","quantity":1}}'
    b"\n"
    b'{"user_id":"user_","named_by":"client_reference_id","anonymous_id":"","group_id":"","opted_out":true,"consen'
    b't":{},"customer_read":true,"email":"","tied":true,"told":{"user_id":17,"group_id":17},"customer_created":17,'
    b'"stranger":"cus_","joined":true,"shown":"","deleted":true,"subscriptions":{"sub_1":{"as_of":[17,1],"status":'
    b'"active","plan":"","price_id":"price_1","mrr":1,"currency":"usd","period":"month","quantity":1,"trial_end":1'
    b'7,"came_from":"","told":1,"trial_start":17,"trialed":17}},"paid":{"usd":1},"cards":{"pm_1":[17,1,19]},"subsc'
    b'ribed":true,"delivery":"","busy_until":17,"payments":{"in_1":{"currency":"usd","counted":true,"total":1,"rev'
    b'enue":1,"paid_at":17,"stated_by":"in_1"},"in_1":{"currency":"usd","counted":true,"total":1,"revenue":1,"tax"'
    b':1,"paid_at":17,"stated_by":"in_1","intent":"pi_1"}},"claims":{"":{"tracks":[""],"shows":true,"joins":true,"'
    b'groups":true,"day":20}}}\n'
)

# The second, and what records say since: cards, what the mrr is worked out from, sums for the audit, flat columns.
THIRD = SECOND + (
    b'{"type":"track","messageId":"","timestamp":"2026-01-01T00:00:00.000Z","userId":"","anonymousId":"","context":{'
    b'"library":{"name":"stripe-to-segment","version":"1.0.0"},"active":false,"stripe":{"event_id":"evt_","event_typ'
    b'e":"payment_method.attached"},"event":"Payment Method Added","event":"Payment Method Updated","properties":{"p'
    b'ayment_method_id":"pm_1","payment_method_type":"card","card_brand":"visa","card_expires_at":"203","automatic":'
    b'true}}\n"traits":{"plan":"","mrr":1,"currency":"USD"}},"event":"Subscription Renewed","properties":{"order_id"'
    b':"in_1","total":1,"revenue":1,"subtotal":1,"tax":0,"shipping":0,"discount":0,"currency":"USD","products":[{"pr'
    b'oduct_id":"prod_1","name":"1 x ","price":1,"quantity":1}],"product_ids":"prod_1","line_count":1,"first_product'
    b'":"1 x ","invoice_id":"in_1","billing_reason":"subscription_cycle","subscription_id":"sub_1","after_trial":tru'
    b'e,"plan":"","price_id":"price_1","product_id":"prod_1","quantity":1}}\n{"user_id":"user","named_by":"client_re'
    b'ference_id","customer_read":true,"email":"","tied":true,"told":{"user_id":17},"customer_created":17,"stranger"'
    b':"cus_1","joined":true,"shown":"","subscriptions":{"sub_1":{"as_of":[17,2],"status":"active","plan":"","price_'
    b'id":"price_1","mrr":1,"currency":"eur","period":"month","quantity":1,"came_from":"","told":1,"basis":{"currenc'
    b'y":"usd","discounts":["di_1"],"items":[{"quantity":1,"price":{"id":"price_1","product":"prod_1","currency":"us'
    b'd","unit_amount":1,"unit_amount_decimal":"1","recurring":{"interval":"month","interval_count":1,"usage_type":"'
    b'licensed"}}}]}}},"paid":{"eur":1},"cards":{"pm_1":[17,1,19]},"subscribed":true,"sent":{"2025-10:eur":[1,1],"20'
    b'25-11:eur":[1,0,1]},"delivery":"","busy_until":17,"payments":{"in_1":{"currency":"eur","counted":true,"total":'
    b'1,"revenue":1,"tax":0,"paid_at":17,"stated_by":"in_1","intent":"ch_1","refunds":{"total:1":{"amount":1,"revenu'
    b'e":1,"tax":1,"told_by":"evt_1","running_total":1}}},"in_'
)

# The third, and records whose payments are stated by their orders themselves.
FOURTH = THIRD + (
    b'1":{"currency":"usd"}},"claims":{"":{"tracks":["",""],"shows":true,"groups":true,"day":20,"kinds":"p"}}}\n{"user_id'
    b'":"","customer_read":true,"email":"","tied":true,"told":{"waited":17,"user_id":17},"customer_created":17,"stranger":'
    b'"cus_1","joined":true,"shown":"","subscriptions":{"sub_1":{"as_of":[17,1],"status":"canceled","plan":"","price_id":"'
    b'price_1","mrr":0,"currency":"usd","period":"year","quantity":1,"came_from":"","told":0,"basis":{"items":[{"quantity"'
    b':1,"price":{},"plan":{"id":"price_1","product":"prod_1","currency":"usd","amount":1,"amount_decimal":"1","interval":'
    b'"month","interval_count":1,"usage_type":"licensed"}}]}}},"paid":{"usd":1},"cards":{"pm_1":[17,0,18],"pm_1":[17,1,19]'
    b'},"subscribed":true,"sent":{"2025-10:usd":[1,1],"2025-11:usd":[1,0,1],"2025-12:usd":[1],"2026-01:usd":[1]},"delivery'
    b'":"","busy_until":17,"payments":{"in_1":{"currency":"usd","counted":true,"total":1,"revenue":1,"paid_at":17,"stated_'
    b'by":"=","intent":"pi_1","refunds":{"re_1":{"amount":1,"revenue":1,"tax":1,"told_by":"evt_1","running_total":1}}},"in'
    b'_1":{"currency":"usd","counted":true,"total":1,"revenue":1,"tax":1,"paid_at":17,"stated_by":"="},"in_'
)

# The last one compresses new records.
DICTIONARIES = (FIRST, SECOND, THIRD, FOURTH)
