"""When billing periods end: a month after the 31st is the last day of a shorter month, and then it is the 31st again.

https://docs.stripe.com/billing/subscriptions/billing-cycle
"""

import calendar
import datetime

DAYS = {"day": 1, "week": 7}
MONTHS = {"month": 1, "year": 12}


def period_end(anchor, after, interval, count):
    """The first moment later than `after` that is a whole number of periods from the anchor."""
    if interval in DAYS:
        step = DAYS[interval] * count * 86_400
        return anchor + ((after - anchor) // step + 1) * step
    step = MONTHS[interval] * count
    begun, now = moment(anchor), moment(after)
    passed = max(0, (now.year - begun.year) * 12 + now.month - begun.month) // step
    number = max(0, passed - 1)
    while (end := months_later(begun, number * step)) <= after:
        number += 1
    return end


def moment(timestamp):
    return datetime.datetime.fromtimestamp(timestamp, datetime.timezone.utc)


def months_later(begun, months):
    year, month = divmod(begun.year * 12 + begun.month - 1 + months, 12)
    day = min(begun.day, calendar.monthrange(year, month + 1)[1])
    return int(begun.replace(year=year, month=month + 1, day=day).timestamp())
