"""Kafka's administration, as the stack's superuser."""
from confluent_kafka.admin import AdminClient


def administer(stack, what, *arguments, **options):
    """One call of AdminClient's that answers a future each, to its end: administer(stack, "delete_topics", ["a.topic"])."""
    client = AdminClient(stack.principal("admin"))
    return {key: future.result(20) for key, future in getattr(client, what)(*arguments, **options).items()}
