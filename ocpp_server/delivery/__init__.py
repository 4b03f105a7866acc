"""At-least-once delivery of what is in the ledger to other systems: nobody who charges ever waits for it."""
