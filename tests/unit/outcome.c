/* cli/: outcomes as lines, the journal, the command that repeats a case. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/case_records.h"
#include "cli/journal.h"

static struct qvl_outcome sample(void)
{
    struct qvl_outcome outcome;
    const struct qvl_case_result result = {.status = QVL_CASE_FAILED,
                                           .elements = INT64_MAX,
                                           .failures = 3,
                                           .margin = 1.0 / 3,
                                           .mean_margin = 5e-324,
                                           .drift = INFINITY,
                                           .nmse = -0.0,
                                           .operand = "y",
                                           .rank = 2,
                                           .index = {7, 9},
                                           .expected = NAN,
                                           .got = -INFINITY,
                                           .tolerance = 1e-300,
                                           .verdict = "violated",
                                           .message = "tab\there"};
    qvl_outcome_set(&outcome, &result, 0.125);
    snprintf(outcome.noise, sizeof outcome.noise, "one\ntwo\n");
    return outcome;
}

static void a_line_has_every_bit(void **state)
{
    (void)state;
    const struct qvl_outcome written = sample();
    struct qvl_outcome read;
    char text[QVL_OUTCOME_BYTES], line[QVL_CASE_LINE_BYTES];
    qvl_outcome_print(&written, "add rows=1", text);
    assert_null(strchr(text, '\n'));
    assert_true(qvl_outcome_parse(text, line, &read));
    assert_string_equal(line, "add rows=1");
    assert_int_equal(read.result.status, QVL_CASE_FAILED);
    assert_true(read.result.elements == INT64_MAX && read.result.failures == 3);
    assert_true(read.result.margin == 1.0 / 3 && read.result.mean_margin == 5e-324);
    assert_true(isinf(read.result.drift) && read.result.nmse == 0 && signbit(read.result.nmse));
    assert_true(isnan(read.result.expected) && read.result.got == -INFINITY);
    assert_true(read.result.tolerance == 1e-300 && read.seconds == 0.125);
    assert_string_equal(read.result.operand, "y");
    assert_string_equal(read.result.verdict, "violated");
    assert_true(read.result.rank == 2 && read.result.index[0] == 7 && read.result.index[1] == 9);
    assert_string_equal(read.result.message, "tab here");
    assert_string_equal(read.noise, "one\ntwo\n");
}

static void an_altered_line_is_refused(void **state)
{
    (void)state;
    const struct qvl_outcome written = sample();
    struct qvl_outcome read;
    char text[QVL_OUTCOME_BYTES], line[QVL_CASE_LINE_BYTES];
    qvl_outcome_print(&written, "add rows=1", text);
    const size_t length = strlen(text);
    for (size_t i = 0; i < length; i++) {
        const char kept = text[i];
        text[i] = kept == '1' ? '2' : '1';
        assert_false(qvl_outcome_parse(text, line, &read));
        text[i] = '\0'; /* torn */
        assert_false(qvl_outcome_parse(text, line, &read));
        text[i] = kept;
    }
    assert_true(qvl_outcome_parse(text, line, &read));
}

static void put_file(const char *path, const char *text)
{
    assert_int_equal(qvl_file_write(path, text, strlen(text), NULL), QVL_OK);
}

static void a_journal_goes_on_where_it_was_torn(void **state)
{
    (void)state;
    char path[] = "/tmp/qvl-journal-XXXXXX", line[QVL_CASE_LINE_BYTES];
    const struct qvl_outcome outcome = sample();
    struct qvl_journal *journal, *second;
    struct qvl_error error;
    close(mkstemp(path));
    assert_int_equal(qvl_journal_open(path, "subject", &journal, NULL), QVL_OK);
    assert_null(qvl_journal_find(journal, "case 0"));
    for (int i = 0; i < 700; i++) { /* past the first capacity */
        snprintf(line, sizeof line, "case %d", i);
        assert_int_equal(qvl_journal_add(journal, line, &outcome, NULL), QVL_OK);
    }
    assert_int_equal(qvl_journal_open(path, "subject", &second, &error), QVL_USAGE);
    assert_non_null(strstr(error.message, "another run is writing it"));
    qvl_journal_close(journal);
    for (off_t cut = 1; cut <= 40; cut += 13) { /* each time one more line is lost */
        char *text;
        size_t size;
        assert_int_equal(qvl_file_read(path, (size_t)1 << 24, &text, &size, NULL), QVL_OK);
        free(text);
        assert_int_equal(truncate(path, (off_t)size - cut), 0);
        assert_int_equal(qvl_journal_open(path, "subject", &journal, NULL), QVL_OK);
        snprintf(line, sizeof line, "case %d", 699 - (int)(cut / 13));
        assert_null(qvl_journal_find(journal, line));
        snprintf(line, sizeof line, "case %d", 698 - (int)(cut / 13));
        assert_non_null(qvl_journal_find(journal, line));
        assert_true(qvl_journal_find(journal, line)->result.margin == 1.0 / 3);
        qvl_journal_close(journal);
    }
    assert_int_equal(qvl_journal_open(path, "other", &journal, &error), QVL_USAGE);
    assert_non_null(strstr(error.message, "(subject)"));
    put_file(path, "qvl-audit jour"); /* killed in the title */
    assert_int_equal(qvl_journal_open(path, "other", &journal, NULL), QVL_OK);
    qvl_journal_close(journal);
    put_file(path, "precious\n");
    assert_int_equal(qvl_journal_open(path, "other", &journal, &error), QVL_BAD_INPUT);
    unlink(path);
    qvl_journal_close(NULL);
}

static void a_command_is_quoted_for_the_shell(void **state)
{
    (void)state;
    static const struct {
        const char *backend, *command;
    } cases[] = {
        {"./a.so", "qvl-audit verify --backend ./a.so --case 'add rows=1'"},
        {"./it's a.so", "qvl-audit verify --backend './it'\\''s a.so' --case 'add rows=1'"},
        {"$(x)", "qvl-audit verify --backend '$(x)' --case 'add rows=1'"},
        {"", "qvl-audit verify --backend '' --case 'add rows=1'"},
    };
    char text[512];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qvl_case_repro(&(struct qvl_case_records){.backend = cases[i].backend}, "add rows=1", text,
                       sizeof text);
        assert_string_equal(text, cases[i].command);
    }
    qvl_case_repro(&(struct qvl_case_records){.backend = "cpu", .threads = 3}, "add", text, sizeof text);
    assert_string_equal(text, "qvl-audit verify --backend cpu --threads 3 --case add");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_every_bit),
        cmocka_unit_test(an_altered_line_is_refused),
        cmocka_unit_test(a_journal_goes_on_where_it_was_torn),
        cmocka_unit_test(a_command_is_quoted_for_the_shell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
