/* Forbids one failtype, as a Kubewarden policy without any SDK: waPC by hand, and no library at all.
 *
 * Settings: {"failtype": 0}, or 1, or 2. */

#include <stdbool.h>
#include <stddef.h>

#define IMPORT(name) __attribute__((import_module("wapc"), import_name(name)))

IMPORT("__guest_request") void guest_request(char *operation, char *payload);
IMPORT("__guest_response") void guest_response(const char *said, size_t length);
IMPORT("__guest_error") void guest_error(const char *why, size_t length);

#define SAY(function, text) function(text, sizeof(text) - 1)

/* What no question exceeds: documents are bounded. */
static char operation[64];
static char payload[1 << 20];

static bool is(const char *text, size_t length, const char *word) {
    for (size_t i = 0; i < length; i++) {
        if (word[i] == '\0' || text[i] != word[i]) {
            return false;
        }
    }
    return word[length] == '\0';
}

/* Past the text that starts, with its quote, at `at`. */
static size_t past_text(size_t at, size_t length) {
    for (at++; at < length && payload[at] != '"'; at++) {
        if (payload[at] == '\\') {
            at++;
        }
    }
    return at + 1;
}

/* The number behind `at`, or -1: a digit that stands alone. */
static int number(size_t at, size_t length) {
    while (at < length && (payload[at] == ' ' || payload[at] == ':')) {
        at++;
    }
    bool digit = at < length && payload[at] >= '0' && payload[at] <= '9';
    bool ends = at + 1 >= length || payload[at + 1] == ',' || payload[at + 1] == '}' || payload[at + 1] == ' ';
    return digit && ends ? payload[at] - '0' : -1;
}

/* The next value of a key `failtype` from `*at` on; -1 where there is none. A text that is no key has no number
 * behind it. */
static int next_failtype(size_t *at, size_t length) {
    while (*at < length) {
        if (payload[*at] != '"') {
            (*at)++;
            continue;
        }
        size_t start = *at + 1;
        *at = past_text(*at, length);
        if (*at <= length && is(payload + start, *at - 1 - start, "failtype")) {
            int value = number(*at, length);
            if (value >= 0) {
                return value;
            }
        }
    }
    return -1;
}

static int validate_settings(size_t length) {
    size_t at = 0;
    int forbidden = next_failtype(&at, length);
    if (forbidden >= 0 && forbidden <= 2) {
        SAY(guest_response, "{\"valid\":true}");
    } else {
        SAY(guest_response, "{\"valid\":false,\"message\":\"failtype is 0, 1 or 2\"}");
    }
    return 1;
}

/* The settings stand behind the request, so the last value is theirs, and all others are the object's. */
static int validate(size_t length) {
    int forbidden = -1, values = 0;
    size_t at = 0;
    for (int value; (value = next_failtype(&at, length)) >= 0; values++) {
        forbidden = value;
    }
    if (values < 2) {
        SAY(guest_error, "the object has no failtype");
        return 0;
    }
    bool found = false;
    for (at = 0; values > 1; values--) {
        found |= next_failtype(&at, length) == forbidden;
    }
    if (found) {
        SAY(guest_response, "{\"accepted\":false,\"message\":\"this failtype is forbidden\",\"code\":403}");
    } else {
        SAY(guest_response, "{\"accepted\":true}");
    }
    return 1;
}

int __guest_call(size_t operation_length, size_t payload_length) {
    if (operation_length > sizeof operation || payload_length > sizeof payload) {
        SAY(guest_error, "the question is too long");
        return 0;
    }
    guest_request(operation, payload);
    if (is(operation, operation_length, "validate")) {
        return validate(payload_length);
    }
    if (is(operation, operation_length, "validate_settings")) {
        return validate_settings(payload_length);
    }
    if (is(operation, operation_length, "protocol_version")) {
        SAY(guest_response, "\"v1\"");
        return 1;
    }
    SAY(guest_error, "no such operation");
    return 0;
}
