/* Leases without a call (sdk/local/pages.h), for spin.
 *
 * One entry of the directory, which the host gives to one payload after another, and two clients
 * that hold and let go of it, and die whenever they like. Memory is that of x86: each process has
 * a store buffer, which empties in order and whenever it likes; a fence waits until it is empty.
 * What ARM may do besides, reordering loads and stores to other places, the acquire and release of
 * the real code forbid where it matters; a fence there orders at least what it orders here.
 *
 * Shown: whoever holds the entry reads the bytes of the payload that it wanted, until it lets go
 * or dies; and nobody waits for ever. With -DNO_CLIENT_FENCE, -DNO_HOST_FENCE, -DNO_SECOND_LOOK,
 * -DNO_SCAN or -DNO_ID_CHECK spin must find how that goes wrong.
 */

#define CLIENTS 2
#define PAYLOADS 2
#define ROUNDS 3

/* Memory: the entry's word (1: open), its id, and the bytes. */
#define WORD 0
#define ID 1
#define BYTES 2
byte memory[3];
byte slots[CLIENTS];
bool dead[CLIENTS];

/* Store buffers. */
chan host_buffer = [4] of { byte, byte };
chan client_buffer[CLIENTS] = [4] of { byte };

active proctype HostMemory() {
  byte place, value;
end:
  do
  :: atomic { host_buffer ? place, value -> memory[place] = value }
  od
}

proctype ClientMemory(byte me) {
  byte value;
end:
  do
  :: atomic { client_buffer[me] ? value -> slots[me] = value }
  od
}

inline host_fence() {
#ifndef NO_HOST_FENCE
  empty(host_buffer)
#else
  skip
#endif
}

active proctype Host() {
  byte payload = 1;
  byte rounds, client;
  bool held;
  /* The first payload. */
  host_buffer ! BYTES, payload;
  host_buffer ! ID, payload;
  host_buffer ! WORD, 1;
  do
  :: rounds < ROUNDS ->
    rounds++;
    host_buffer ! WORD, 0;
    host_fence();
    held = false;
    client = 0;
    do
    :: client < CLIENTS ->
#ifndef NO_SCAN
      if
      :: !dead[client] && slots[client] == 1 -> held = true
      :: else
      fi;
#endif
      client++
    :: else -> break
    od;
    if
    :: held -> host_buffer ! WORD, 1
    :: else ->
      /* The bytes are free: another payload gets them, and the entry. */
      payload = 1 + payload % PAYLOADS;
      host_buffer ! BYTES, payload;
      host_buffer ! ID, payload;
      host_buffer ! WORD, 1
    fi
  :: else -> break
  od
}

proctype Client(byte me) {
  byte wanted = 1;
  byte rounds;
  bool is_open;
  do
  :: rounds < ROUNDS ->
    rounds++;
    if
    :: wanted = 1
    :: wanted = 2
    fi;
    /* A look before, which may find anything. */
    if
    :: memory[WORD] == 1 && memory[ID] == wanted ->
      client_buffer[me] ! 1;
#ifndef NO_CLIENT_FENCE
      empty(client_buffer[me]);
#endif
#ifndef NO_SECOND_LOOK
      is_open = (memory[WORD] == 1);
#else
      is_open = true;
#endif
      if
#ifndef NO_ID_CHECK
      :: is_open && memory[ID] == wanted ->
#else
      :: is_open ->
#endif
        /* Held. */
        assert(memory[BYTES] == wanted);
        assert(memory[BYTES] == wanted);
        if
        :: dead[me] = true -> goto gone
        :: skip
        fi;
        assert(memory[BYTES] == wanted)
      :: else
      fi;
      client_buffer[me] ! 0
    :: else
    fi;
    if
    :: dead[me] = true -> goto gone
    :: skip
    fi
  :: else -> break
  od;
gone:
  skip
}

init {
  byte client;
  atomic {
    do
    :: client < CLIENTS -> run ClientMemory(client); run Client(client); client++
    :: else -> break
    od
  }
}
