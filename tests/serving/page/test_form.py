"""The form's fields."""

from churn_drift import schema
from churn_drift.serving.contract import typed
from churn_drift.serving.page.form import example, groups


def test_every_column_that_the_model_may_see_has_one_field() -> None:
    names = [field.name for group in groups() for field in group.fields]
    assert sorted(names) == sorted(column.name for column in schema.RECORD)


def test_a_category_offers_its_known_codes() -> None:
    fields = {field.name: field for group in groups() for field in group.fields}
    assert fields["CreditRating"].choices == schema.BY_NAME["CreditRating"].levels
    assert fields["ServiceArea"].choices == ()
    assert (fields["MonthlyRevenue"].label, fields["MonthlyRevenue"].unit) == ("Mean monthly bill", "USD/month")


def test_the_example_is_a_legal_customer() -> None:
    assert typed(example(), zero_is_missing=True)[1] == []
