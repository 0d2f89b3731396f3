"""The one door to the outside: the store is asked first, then gate, budget and retries."""
