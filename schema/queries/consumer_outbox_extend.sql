SELECT outbox_extend()
