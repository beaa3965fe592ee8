"""The fields of Stripe's objects in events of API version 2026-10-28.endive, null or not.

From Stripe's own sample objects (github.com/stripe/openapi), from what Stripe delivers, and for the newest fields from
Stripe's library. A name in parentheses may be absent. For an object that is not listed, Stripe's library says which
fields there are; of a field that may be null it does not say whether it may also be absent. An invoice that is still to
come has no id and no page.
"""

from __future__ import annotations

from typing import get_args

import stripe

__all__ = ["always_there", "hints_of", "inside", "known", "written_type"]


def known(kind: str) -> set[str]:
    """The fields that an object of this kind may have."""
    return {name.strip("()") for name in _names(kind)}


def always_there(kind: str) -> set[str]:
    """The fields that an object of this kind has, null or not."""
    return {name for name in _names(kind) if not name.startswith("(")}


def written_type(hint: object) -> str:
    """A field's type in Stripe's library, as shapes write it: "object" where it is neither text nor number."""
    written = hint.__name__ if isinstance(hint, type) else str(hint).removeprefix("typing.")
    plain = written.removeprefix("Optional[").removesuffix("]")
    if plain not in {"bool", "float", "int", "str"}:
        return "object"
    return plain if plain == written else f"{plain} | None"


def hints_of(kind: str) -> dict[str, object]:
    """The types of an object's fields in Stripe's library."""
    read = stripe.StripeObject.construct_from({"inside": {"object": kind}}, None)["inside"]
    assert type(read) is not stripe.StripeObject, f"Stripe's library knows no {kind}"
    return {name: hint for name, hint in type(read).__annotations__.items() if "ClassVar" not in str(hint)}


def inside(hint: object) -> dict[str, object]:
    """The types of the fields of the hash in a field of this type, or of those in its list; none if it holds none."""
    if isinstance(hint, type) and issubclass(hint, stripe.StripeObject):
        return dict(hint.__annotations__)
    return {name: one for each in get_args(hint) for name, one in inside(each).items()}


def _names(kind: str) -> list[str]:
    if kind in FIELDS:
        return FIELDS[kind].split()
    fields = {name: str(hint) for name, hint in hints_of(kind).items()}
    return [f"({name})" if "Optional" in hint or "NoneType" in hint else name for name, hint in fields.items()]


FIELDS = {
    "event": "id object api_version created data livemode pending_webhooks request type",
    "charge": """
        id object amount amount_captured amount_refunded application application_fee application_fee_amount
        balance_transaction billing_details calculated_statement_descriptor captured created currency customer
        description disputed failure_balance_transaction failure_code failure_message fraud_details livemode
        metadata on_behalf_of outcome paid payment_intent payment_method payment_method_details radar_options
        receipt_email receipt_number receipt_url refunded review shipping source source_transfer
        statement_descriptor statement_descriptor_suffix status transfer_data transfer_group""",
    "checkout.session": """
        id object adaptive_pricing after_expiration allow_promotion_codes (allowed_payment_method_types)
        amount_subtotal amount_total
        automatic_tax billing_address_collection branding_settings cancel_url client_reference_id client_secret
        collected_information consent consent_collection created currency currency_conversion custom_fields
        custom_text customer customer_account customer_creation customer_details customer_email discounts
        expires_at integration_identifier invoice invoice_creation livemode locale managed_payments metadata mode
        origin_context payment_intent payment_link payment_method_collection payment_method_configuration_details
        payment_method_options payment_method_types payment_status permissions phone_number_collection
        recovered_from saved_payment_method_options setup_intent shipping_address_collection shipping_cost
        shipping_options status submit_type subscription success_url (tax_id_collection) total_details ui_mode url
        wallet_options""",
    "coupon": """
        id object amount_off created currency duration duration_in_months livemode max_redemptions metadata name
        percent_off redeem_by times_redeemed valid""",
    "customer": """
        id object address balance created currency default_source delinquent description discount email
        invoice_prefix invoice_settings livemode metadata name next_invoice_sequence phone preferred_locales
        shipping tax_exempt test_clock""",
    "discount": """
        id object checkout_session customer customer_account end invoice invoice_item promotion_code source start
        subscription subscription_item""",
    "invoice": """
        (id) object account_country account_name account_tax_ids amount_due amount_overpaid amount_paid
        (amount_paid_off_stripe) amount_remaining amount_shipping application attempt_count attempted
        (auto_advance) automatic_tax
        automatically_finalizes_at billing_reason collection_method created currency custom_fields customer
        customer_account customer_address customer_email customer_name customer_phone customer_shipping
        customer_tax_exempt customer_tax_ids default_payment_method default_source default_tax_rates description
        discounts due_date effective_at ending_balance footer from_invoice (hosted_invoice_url) (invoice_pdf) issuer
        last_finalization_error latest_revision lines livemode metadata next_payment_attempt number on_behalf_of
        parent payment_settings period_end period_start post_payment_credit_notes_amount
        pre_payment_credit_notes_amount receipt_number rendering shipping_cost shipping_details starting_balance
        statement_descriptor status (status_details) status_transitions subtotal subtotal_excluding_tax test_clock total
        total_discount_amounts total_excluding_tax total_pretax_credit_amounts total_taxes webhooks_delivered_at""",
    "invoice_payment": """
        id object amount_paid amount_requested created currency invoice is_default livemode payment status
        status_transitions""",
    "line_item": """
        id object amount currency description discount_amounts discountable discounts invoice livemode metadata
        parent period pretax_credit_amounts pricing quantity quantity_decimal subtotal taxes""",
    "list": "object data has_more total_count url",
    "payment_intent": """
        id object (allowed_payment_method_types) amount amount_capturable amount_details amount_received application
        application_fee_amount
        automatic_payment_methods canceled_at cancellation_reason capture_method client_secret confirmation_method
        created currency customer customer_account description excluded_payment_method_types last_payment_error
        latest_charge livemode managed_payments metadata next_action on_behalf_of payment_details payment_method
        (payment_record)
        payment_method_configuration_details payment_method_options payment_method_types processing receipt_email
        review setup_future_usage shipping source statement_descriptor statement_descriptor_suffix status
        transfer_data transfer_group""",
    "payment_method": """
        id object allow_redisplay billing_details (card) (card_present) created customer customer_account
        (interac_present) (konbini) livemode metadata (sepa_debit) type""",
    "plan": """
        id object active amount amount_decimal billing_scheme created currency interval interval_count livemode
        metadata meter nickname product tiers_mode transform_usage trial_period_days usage_type""",
    "price": """
        id object active billing_scheme created currency custom_unit_amount livemode lookup_key metadata nickname
        product recurring tax_behavior tiers_mode transform_quantity type unit_amount unit_amount_decimal""",
    "product": """
        id object active created default_price description images livemode marketing_features metadata name
        package_dimensions shippable statement_descriptor tax_code (tax_details) type unit_label updated url""",
    "subscription": """
        id object application application_fee_percent automatic_tax billing_cycle_anchor
        billing_cycle_anchor_config billing_mode billing_schedules billing_thresholds cancel_at
        cancel_at_period_end canceled_at cancellation_details collection_method created currency customer
        customer_account days_until_due default_payment_method default_source default_tax_rates description
        discounts ended_at invoice_settings items latest_invoice livemode managed_payments metadata
        next_pending_invoice_item_invoice on_behalf_of pause_collection payment_settings
        pending_invoice_item_interval pending_setup_intent pending_update plan quantity schedule start_date status
        (status_details) test_clock transfer_data trial_end trial_settings trial_start""",
    "subscription_item": """
        id object (billed_until) billing_thresholds created (current_period_end) (current_period_start) (current_trial)
        discounts metadata plan
        price quantity subscription tax_rates""",
    "tax_rate": """
        id object active country created description display_name effective_percentage flat_amount inclusive
        jurisdiction jurisdiction_level livemode metadata percentage rate_type state tax_type""",
    "refund": """
        id object (failure_balance_transaction) (failure_reason) amount balance_transaction charge created
        currency customer customer_account destination_details metadata payment_intent payment_method reason
        receipt_number source_transfer_reversal status transfer_reversal""",
    "dispute": """
        id object amount balance_transactions charge created currency enhanced_eligibility_types evidence
        evidence_details (intended_submission_method) is_charge_refundable livemode metadata payment_intent
        payment_method_details reason status""",
    "balance_transaction": """
        id object amount available_on balance_type created currency description exchange_rate fee
        fee_details net reporting_category source status type""",
    "credit_note": """
        id object amount amount_shipping created currency customer customer_account
        customer_balance_transaction discount_amount discount_amounts effective_at invoice lines livemode
        memo metadata number out_of_band_amount pdf post_payment_amount pre_payment_amount
        pretax_credit_amounts reason refunds shipping_cost status subtotal subtotal_excluding_tax total
        total_excluding_tax total_taxes type voided_at""",
    "credit_note_line_item": """
        id object amount description discount_amount discount_amounts invoice_line_item livemode metadata
        pretax_credit_amounts quantity tax_rates taxes type unit_amount unit_amount_decimal""",
}
