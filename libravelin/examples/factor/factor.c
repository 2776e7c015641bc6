/* factor NUMBER: splits a number into primes, by Pollard's rho method, in numbers of any length.
 *
 * Each step of the arithmetic makes a new number and frees an old one: it is malloc's work, too.
 */
#include <ravelin.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A natural number: its digits to the base 2^32, the lowest first, the highest not 0. */
struct number {
    size_t length;
    uint32_t digits[];
};
typedef struct number number;

static number* blank(size_t length) {
    number* n = rv_calloc(1, sizeof *n + length * sizeof *n->digits);
    if (!n) exit(2);
    n->length = length;
    return n;
}

static number* trim(number* n) {
    while (n->length && !n->digits[n->length - 1]) n->length--;
    return n;
}

static number* small(uint32_t value) {
    number* n = blank(1);
    n->digits[0] = value;
    return trim(n);
}

static number* copy(const number* n) {
    number* same = blank(n->length);
    memcpy(same->digits, n->digits, n->length * sizeof *n->digits);
    return same;
}

/* Takes the place of *place. */
static void set(number** place, number* value) {
    rv_free(*place);
    *place = value;
}

static int is(const number* n, uint32_t value) { return value ? n->length == 1 && n->digits[0] == value : !n->length; }

static int compare(const number* a, const number* b) {
    if (a->length != b->length) return a->length < b->length ? -1 : 1;
    for (size_t i = a->length; i--;)
        if (a->digits[i] != b->digits[i]) return a->digits[i] < b->digits[i] ? -1 : 1;
    return 0;
}

static number* plus(const number* a, uint32_t b) {
    number* sum = blank(a->length + 1);
    uint64_t carry = b;
    for (size_t i = 0; i < sum->length; i++) {
        carry += i < a->length ? a->digits[i] : 0;
        sum->digits[i] = (uint32_t)carry;
        carry >>= 32;
    }
    return trim(sum);
}

/* a - b, for a >= b. */
static number* minus(const number* a, const number* b) {
    number* difference = copy(a);
    int64_t carry = 0;
    for (size_t i = 0; i < a->length; i++) {
        carry += (int64_t)a->digits[i] - (i < b->length ? b->digits[i] : 0);
        difference->digits[i] = (uint32_t)carry;
        carry >>= 32;
    }
    return trim(difference);
}

static number* times(const number* a, const number* b) {
    number* product = blank(a->length + b->length);
    for (size_t i = 0; i < a->length; i++) {
        uint64_t carry = 0;
        for (size_t k = 0; k < b->length; k++) {
            carry += (uint64_t)a->digits[i] * b->digits[k] + product->digits[i + k];
            product->digits[i + k] = (uint32_t)carry;
            carry >>= 32;
        }
        product->digits[i + b->length] = (uint32_t)carry;
    }
    return trim(product);
}

/* a / b bit by bit; the rest goes to *rest. */
static number* divide(const number* a, const number* b, number** rest) {
    number *quotient = blank(a->length), *left = blank(b->length + 1);
    left->length = 0;
    for (size_t bit = 32 * a->length; bit--;) {
        uint32_t carry = a->digits[bit / 32] >> bit % 32 & 1;
        for (size_t i = 0; i <= left->length && i <= b->length; i++) {
            uint32_t digit = i < left->length ? left->digits[i] : 0, next = digit >> 31;
            if (i < left->length || carry) left->digits[i] = digit << 1 | carry;
            if (i == left->length) {
                if (carry) left->length++;
                break;
            }
            carry = next;
        }
        if (compare(left, b) >= 0) {
            int64_t borrow = 0;
            for (size_t i = 0; i < left->length; i++) {
                borrow += (int64_t)left->digits[i] - (i < b->length ? b->digits[i] : 0);
                left->digits[i] = (uint32_t)borrow;
                borrow >>= 32;
            }
            trim(left);
            quotient->digits[bit / 32] |= (uint32_t)1 << bit % 32;
        }
    }
    if (rest)
        set(rest, left);
    else
        rv_free(left);
    return trim(quotient);
}

static number* modulo(const number* a, const number* b) {
    number* rest = NULL;
    rv_free(divide(a, b, &rest));
    return rest;
}

static number* product_modulo(const number* a, const number* b, const number* n) {
    number* product = times(a, b);
    set(&product, modulo(product, n));
    return product;
}

static number* common_divisor(const number* a, const number* b) {
    number *x = copy(a), *y = copy(b);
    while (!is(y, 0)) {
        number* rest = modulo(x, y);
        set(&x, y);
        y = rest;
    }
    rv_free(y);
    return x;
}

/* Whether an odd number above 50 passes Fermat's test by some bases: none of the numbers that one meets here is a liar to all. */
static int is_prime(const number* n) {
    static const uint32_t BASES[] = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47};
    number *one = small(1), *exponent = minus(n, one);
    int prime = 1;
    for (size_t i = 0; prime && i < sizeof BASES / sizeof *BASES; i++) {
        number *base = small(BASES[i]), *power = small(1);
        for (size_t bit = 32 * exponent->length; bit--;) {
            set(&power, product_modulo(power, power, n));
            if (exponent->digits[bit / 32] >> bit % 32 & 1) set(&power, product_modulo(power, base, n));
        }
        prime = is(power, 1);
        rv_free(base);
        rv_free(power);
    }
    rv_free(one);
    rv_free(exponent);
    return prime;
}

/* A divisor of a number that is not prime, other than 1 and itself. */
static number* divisor(const number* n) {
    for (uint32_t c = 1;; c++) {
        number *slow = small(2), *fast = small(2), *found = small(1);
        while (is(found, 1)) {
            for (int step = 0; step < 3; step++) {
                number** walker = step ? &fast : &slow;
                set(walker, product_modulo(*walker, *walker, n));
                set(walker, plus(*walker, c));
            }
            number* distance = compare(slow, fast) < 0 ? minus(fast, slow) : minus(slow, fast);
            set(&found, common_divisor(n, distance));
            rv_free(distance);
        }
        rv_free(slow);
        rv_free(fast);
        if (compare(found, n)) return found;
        rv_free(found);
    }
}

static void print(const number* n) {
    char* text = rv_strdup("");
    number *left = copy(n), *ten = small(10), *digit = NULL;
    do {
        set(&left, divide(left, ten, &digit));
        char* longer = rv_malloc(strlen(text) + 2);
        if (!longer) exit(2);
        longer[0] = (char)('0' + (digit->length ? digit->digits[0] : 0));
        strcpy(longer + 1, text);
        rv_free(text);
        text = longer;
    } while (!is(left, 0));
    fputs(text, stdout);
    rv_free(text);
    rv_free(left);
    rv_free(ten);
    rv_free(digit);
}

/* Prints the primes of n, and frees it. */
static void print_primes(number* n, const char** between) {
    for (uint32_t p = 2; p < 50; p++) {
        number *prime = small(p), *rest = NULL, *quotient = divide(n, prime, &rest);
        while (is(rest, 0) && !is(n, 1)) {
            printf("%s%u", *between, p);
            *between = " * ";
            set(&n, quotient);
            quotient = divide(n, prime, &rest);
        }
        rv_free(prime);
        rv_free(rest);
        rv_free(quotient);
    }
    if (is(n, 1)) {
        rv_free(n);
    } else if (is_prime(n)) {
        fputs(*between, stdout);
        *between = " * ";
        print(n);
        rv_free(n);
    } else {
        number *part = divisor(n), *other = divide(n, part, NULL);
        rv_free(n);
        print_primes(part, between);
        print_primes(other, between);
    }
}

int main(int count, char** arguments) {
    number* n = small(0);
    const char* text = count == 2 ? arguments[1] : "";
    for (; *text >= '0' && *text <= '9'; text++) {
        number* ten = small(10);
        set(&n, times(n, ten));
        set(&n, plus(n, (uint32_t)(*text - '0')));
        rv_free(ten);
    }
    if (*text || is(n, 0)) {
        fprintf(stderr, "usage: factor NUMBER\n");
        return 1;
    }
    print(n);
    const char* between = " = ";
    print_primes(n, &between);
    puts(between[1] == '=' ? " = 1" : "");
    return 0;
}
