/* A JSON value spelled as Python's json.dumps spells what json.loads made of it. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "model/json_tree.h"

#define MAX_SIGNIFICANT_DIGITS 17 /* always enough to read a double back */

static void dump_string(const char *text, size_t size, struct qvl_bytes *out)
{
    static const char plain[] = "\"\\\b\f\n\r\t", escaped[] = "\"\\bfnrt";
    size_t start = 0;
    qvl_bytes_text(out, "\"");
    for (size_t at = 0; at < size; at++) {
        unsigned char byte = (unsigned char)text[at];
        if (byte >= 0x20 && byte != '"' && byte != '\\')
            continue;
        char escape[8];
        const char *found = byte ? strchr(plain, byte) : NULL;
        if (found)
            snprintf(escape, sizeof escape, "\\%c", escaped[found - plain]);
        else
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned)byte);
        qvl_bytes_append(out, text + start, at - start);
        qvl_bytes_text(out, escape);
        start = at + 1;
    }
    qvl_bytes_append(out, text + start, size - start);
    qvl_bytes_text(out, "\"");
}

/* Python's repr of a finite double: the fewest digits that read back as the same number, in positional form
 * for 1e-4 <= |value| < 1e16. */
static void dump_double(double value, struct qvl_bytes *out)
{
    char text[32], digits[24], positional[64];
    int precision = 0;
    do
        snprintf(text, sizeof text, "%.*e", precision, value);
    while (++precision < MAX_SIGNIFICANT_DIGITS && strtod(text, NULL) != value);
    char *mark = strchr(text, 'e');
    int exponent = atoi(mark + 1), count = 0;
    for (const char *at = text; at < mark; at++)
        if (*at >= '0' && *at <= '9')
            digits[count++] = *at;
    digits[count] = '\0';
    if (signbit(value))
        qvl_bytes_text(out, "-");
    if (exponent < -4 || exponent >= 16) {
        snprintf(positional, sizeof positional, "%c%s%se%c%02d", digits[0], count > 1 ? "." : "", digits + 1,
                 exponent < 0 ? '-' : '+', abs(exponent));
    } else if (exponent < 0) {
        snprintf(positional, sizeof positional, "0.%.*s%s", -exponent - 1, "000", digits);
    } else if (count <= exponent + 1) {
        snprintf(positional, sizeof positional, "%s%.*s.0", digits, exponent + 1 - count, "000000000000000");
    } else {
        snprintf(positional, sizeof positional, "%.*s.%s", exponent + 1, digits, digits + exponent + 1);
    }
    qvl_bytes_text(out, positional);
}

static void dump_number(const char *text, size_t size, struct qvl_bytes *out)
{
    if (!strpbrk(text, ".eE")) { /* an integer of any length */
        bool negative_zero = strcmp(text, "-0") == 0;
        qvl_bytes_append(out, text + negative_zero, size - negative_zero);
        return;
    }
    double value = strtod(text, NULL);
    if (isinf(value))
        qvl_bytes_text(out, value < 0 ? "-Infinity" : "Infinity");
    else
        dump_double(value, out);
}

static bool same_key(const struct qvl_json_node *a, const struct qvl_json_node *b)
{
    return a->key_size == b->key_size && memcmp(a->key, b->key, a->key_size) == 0;
}

/* The last member with the key of `node`, from `node` on. */
static const struct qvl_json_node *last_of_key(const struct qvl_json_node *node)
{
    const struct qvl_json_node *last = node;
    for (const struct qvl_json_node *other = node->next; other; other = other->next)
        if (same_key(node, other))
            last = other;
    return last;
}

static bool repeats(const struct qvl_json_node *first, const struct qvl_json_node *node)
{
    for (; first != node; first = first->next)
        if (same_key(first, node))
            return true;
    return false;
}

static void dump_container(const struct qvl_json_node *node, struct qvl_bytes *out)
{
    bool object = node->kind == QVL_JSON_OBJECT, started = false;
    qvl_bytes_text(out, object ? "{" : "[");
    for (const struct qvl_json_node *child = node->first; child; child = child->next) {
        if (object && repeats(node->first, child))
            continue;
        if (started)
            qvl_bytes_text(out, ", ");
        started = true;
        if (object) {
            dump_string(child->key, child->key_size, out);
            qvl_bytes_text(out, ": ");
        }
        qvl_json_tree_dump(object ? last_of_key(child) : child, out);
    }
    qvl_bytes_text(out, object ? "}" : "]");
}

void qvl_json_tree_dump(const struct qvl_json_node *node, struct qvl_bytes *out)
{
    static const char *const words[] = {"null", "false", "true"};
    switch (node->kind) {
    case QVL_JSON_NULL:
    case QVL_JSON_FALSE:
    case QVL_JSON_TRUE: qvl_bytes_text(out, words[node->kind]); break;
    case QVL_JSON_NUMBER: dump_number(node->text, node->size, out); break;
    case QVL_JSON_STRING: dump_string(node->text, node->size, out); break;
    case QVL_JSON_ARRAY:
    case QVL_JSON_OBJECT: dump_container(node, out); break;
    }
}
