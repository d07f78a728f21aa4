#include "reports/schema_check.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

extern "C" {
#include "base/json.h"
}

using json = nlohmann::json;

struct qvl_document {
    json root;
    std::string name;
};

namespace
{

/* Run `body`, turning C++ exceptions into a status. */
template <typename Body> qvl_status guarded(qvl_error *error, qvl_status status, const char *where, Body body)
{
    try {
        return body();
    } catch (const std::bad_alloc &) {
        return qvl_fail(error, QVL_NO_MEMORY, "%s: no memory", where);
    } catch (const std::exception &failure) {
        return qvl_fail(error, status, "%s: %s", where, failure.what());
    }
}

const json *find(const qvl_document *document, const char *pointer)
{
    try {
        json::json_pointer place{std::string(pointer)};
        return document->root.contains(place) ? &document->root.at(place) : nullptr;
    } catch (const json::exception &) {
        return nullptr;
    }
}

/* The shortest digits that read back as `value`, laid out as Python's repr: an exponent below 1e-4 and from
 * 1e16 on, and always a point or an exponent. */
std::string shortest(double value)
{
    char scientific[40];
    auto end =
        std::to_chars(scientific, scientific + sizeof scientific, value, std::chars_format::scientific);
    std::string text(scientific, end.ptr);
    std::string sign = text[0] == '-' ? "-" : "";
    size_t e = text.find('e');
    int exponent = std::atoi(text.c_str() + e + 1);
    std::string digits = text.substr(sign.size(), e - sign.size());
    digits.erase(std::remove(digits.begin(), digits.end(), '.'), digits.end());
    int count = static_cast<int>(digits.size());
    if (exponent < -4 || exponent >= 16) {
        if (count > 1)
            digits.insert(1, ".");
        char tail[8];
        snprintf(tail, sizeof tail, "e%+03d", exponent);
        return sign + digits + tail;
    }
    if (exponent < 0)
        return sign + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
    if (count <= exponent + 1)
        return sign + digits + std::string(static_cast<size_t>(exponent + 1 - count), '0') + ".0";
    return sign + digits.insert(static_cast<size_t>(exponent) + 1, ".");
}

/* Depth is bounded by QVL_JSON_MAX_DEPTH, which parsing enforced. */
void write_canonical(const json &value, std::string &out)
{
    const char *separator = "";
    if (value.is_object()) {
        out += '{';
        for (auto item = value.begin(); item != value.end(); ++item) {
            out += separator;
            out += json(item.key()).dump();
            out += ':';
            write_canonical(item.value(), out);
            separator = ",";
        }
        out += '}';
    } else if (value.is_array()) {
        out += '[';
        for (const json &item : value) {
            out += separator;
            write_canonical(item, out);
            separator = ",";
        }
        out += ']';
    } else if (value.is_number_float()) {
        out += shortest(value.get<double>());
    } else {
        out += value.dump();
    }
}

/* True when the place `inner` is `outer` or lies inside it. */
bool lies_in(const std::string &inner, const std::string &outer)
{
    return inner.compare(0, outer.size(), outer) == 0 &&
           (inner.size() == outer.size() || inner[outer.size()] == '/');
}

/* valijson's path ("<root>", "[name]" or "[3]" each) as a JSON pointer. */
std::string pointer_of(const std::vector<std::string> &path)
{
    std::string pointer;
    for (size_t i = 1; i < path.size(); i++) {
        std::string step = path[i];
        if (step.size() >= 2 && step.front() == '[')
            step = step.substr(1, step.size() - 2);
        pointer += '/';
        for (char byte : step) {
            if (byte == '~')
                pointer += "~0";
            else if (byte == '/')
                pointer += "~1";
            else
                pointer += byte;
        }
    }
    return pointer;
}

} // namespace

extern "C" enum qvl_status qvl_document_parse(const char *text, size_t size, const char *name,
                                              struct qvl_document **document, struct qvl_error *error)
{
    cJSON *strict = nullptr; /* syntax, depth and duplicate keys, with line and column */
    QVL_TRY(qvl_json_parse(text, size, name, &strict, error));
    cJSON_Delete(strict);
    return guarded(error, QVL_BAD_INPUT, name, [&] {
        *document = new qvl_document{json::parse(text, text + size), name};
        return QVL_OK;
    });
}

extern "C" void qvl_document_destroy(struct qvl_document *document)
{
    delete document;
}

extern "C" enum qvl_status qvl_document_canonical(const struct qvl_document *document, const char *pointer,
                                                  char **text, size_t *size, struct qvl_error *error)
{
    const json *value = find(document, pointer);
    if (!value)
        return qvl_fail(error, QVL_USAGE, "%s: there is nothing at %s", document->name.c_str(), pointer);
    return guarded(error, QVL_BAD_INPUT, document->name.c_str(), [&] {
        std::string out;
        write_canonical(*value, out);
        *text = static_cast<char *>(std::malloc(out.size() + 1));
        if (!*text)
            throw std::bad_alloc();
        std::memcpy(*text, out.c_str(), out.size() + 1);
        *size = out.size();
        return QVL_OK;
    });
}

extern "C" enum qvl_status qvl_document_set_string(struct qvl_document *document, const char *pointer,
                                                   const char *value, struct qvl_error *error)
{
    if (!find(document, pointer))
        return qvl_fail(error, QVL_USAGE, "%s: there is nothing at %s", document->name.c_str(), pointer);
    return guarded(error, QVL_USAGE, document->name.c_str(), [&] {
        document->root[json::json_pointer(pointer)] = value;
        return QVL_OK;
    });
}

extern "C" const char *qvl_document_string(const struct qvl_document *document, const char *pointer)
{
    const json *value = find(document, pointer);
    return value && value->is_string() ? value->get_ref<const std::string &>().c_str() : nullptr;
}

extern "C" bool qvl_document_has(const struct qvl_document *document, const char *pointer)
{
    return find(document, pointer) != nullptr;
}

extern "C" size_t qvl_document_count(const struct qvl_document *document, const char *pointer)
{
    const json *value = find(document, pointer);
    return value && value->is_structured() ? value->size() : 0;
}

extern "C" enum qvl_status qvl_document_check(const struct qvl_document *document, const char *schema,
                                              qvl_violation_fn *violation, void *context,
                                              struct qvl_error *error)
{
    return guarded(error, QVL_USAGE, "JSON Schema", [&] {
        json schema_root = json::parse(schema);
        valijson::Schema compiled;
        valijson::SchemaParser parser;
        parser.populateSchema(valijson::adapters::NlohmannJsonAdapter(schema_root), compiled);
        valijson::Validator validator;
        valijson::ValidationResults results;
        if (validator.validate(compiled, valijson::adapters::NlohmannJsonAdapter(document->root), &results))
            return QVL_OK;
        std::vector<std::string> said; /* one violation a place: the innermost comes first */
        for (const auto &found : results) {
            std::string pointer = pointer_of(found.context);
            bool known = std::any_of(said.begin(), said.end(),
                                     [&](const std::string &inner) { return lies_in(inner, pointer); });
            if (known || said.size() == QVL_MAX_VIOLATIONS)
                continue;
            said.push_back(pointer);
            QVL_TRY(violation(context, pointer.c_str(), found.description.c_str(), error));
        }
        return QVL_OK;
    });
}
