"""No check of the kit is one that cannot fail: for each there is a plugin whose defect it catches, and says."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import harness.testing
from harness.testing import PluginConformance

PLANTED = Path(__file__).parent / "planted" / "checks.py"

CATCHES = """
Plugin raises                  test_it_loads_without_a_failure                        no meter today
Plugin odd-name                test_it_loads_without_a_failure                        yielded the name 'Fake Watts'
Plugin unknown-hook            test_it_loads_without_a_failure                        unknown hook 'harness_metres'
Plugin gives-nothing           test_it_loads_without_a_failure                        contributes nothing
Plugin no-api                  test_it_says_which_api_it_is_written_for               state HARNESS_API = 1
Plugin heavy                   test_importing_it_is_light                             importing it imports numpy
Plugin heavy-available         test_asking_whether_it_is_available_is_light           asking `available` imports numpy
Plugin raising-available       test_it_answers_whether_it_is_available                no driver
Plugin word-available          test_it_answers_whether_it_is_available                it answered 'yes'
Plugin slow-available          test_it_answers_whether_it_is_available                took 0.8 s
Plugin without-reason          test_it_answers_whether_it_is_available                gives no reason
Plugin long-reason             test_it_answers_whether_it_is_available                several lines
Plugin without-install         test_it_answers_whether_it_is_available                must say what brings it
Plugin twice                   test_no_name_is_given_twice                            meter fake-watts
Plugin two-converters          test_no_name_is_given_twice                            converter module → linear
Plugin long-summary            test_each_summary_is_one_line                          several lines
Plugin endless-summary         test_each_summary_is_one_line                          over 160
Plugin no-summary              test_each_summary_is_one_line                          empty summary
Plugin loose-options           test_options_are_frozen_with_defaults_and_said_what_they_mean    can be changed
Plugin silent-options          test_options_are_frozen_with_defaults_and_said_what_they_mean    do not say what a means
Backend reads-nothing          test_its_facts_are_complete                            reads no format
Backend reads-twice            test_its_facts_are_complete                            reads a format twice
Backend no-kernel-family       test_its_facts_are_complete                            no `kernel_family`
Backend no-simulation          test_its_facts_are_complete                            no `simulate`
Backend loose-options          test_its_facts_are_complete                            can be changed
Backend environment-of-numbers test_its_environment_is_text                           is not text
Backend prepares-once          test_preparing_twice_is_fine                           prepared already
Backend lists                  test_outputs_are_arrays_and_floats_are_float32         list, not an array
Backend double                 test_outputs_are_arrays_and_floats_are_float32         float64, not float32
Backend not-finite             test_outputs_are_arrays_and_floats_are_float32         not finite
Backend flat                   test_outputs_have_the_shapes_that_the_file_declares    declares outputs [(1, 3)]
Backend noisy                  test_the_same_input_gives_the_same_output              the same inputs bound again
Backend growing                test_calling_again_changes_nothing                     a second call
Backend deaf                   test_a_different_input_gives_a_different_output        other inputs give the same
Backend greedy                 test_inputs_are_left_as_they_are                       writes into the inputs
Backend careless               test_a_wrong_number_of_inputs_is_refused               DID NOT RAISE
Backend eager                  test_there_are_no_outputs_before_inputs_are_bound      never ran shows outputs
Backend undead                 test_nothing_is_left_after_closing                     closed session still
Backend closes-once            test_closing_twice_is_fine                             closed already
Backend shared                 test_one_session_survives_the_closing_of_another       closed the runtime
Backend boasting               test_it_keeps_to_its_threads_and_prints_nothing        threads() says 64
Backend crowded                test_it_keeps_to_its_threads_and_prints_nothing        threads worked with a budget of 1
Backend chatty                 test_it_keeps_to_its_threads_and_prints_nothing        prints: binding
Backend murmuring              test_it_keeps_to_its_threads_and_prints_nothing        prints: closing
Backend opens-anything         test_a_wrong_file_is_refused                           opens-anything opens
Backend value-error            test_a_wrong_file_is_refused                           with ValueError
Backend lenient                test_an_option_that_makes_no_sense_is_refused          mode='no-such-value'
Backend litters                test_the_variant_is_left_as_it_is                      leaves files beside it
Backend logs                   test_the_variant_is_left_as_it_is                      runtime.log
Backend operators-without-time test_its_operators_have_times_and_known_words          take no time
Backend operators-of-fractions test_its_operators_have_times_and_known_words          float, not int
Backend operators-of-odd-words test_its_operators_have_times_and_known_words          does 'magic'
Backend operators-of-odd-precision test_its_operators_have_times_and_known_words      precision 'int7'
Backend notes-one-text         test_its_notes_are_lines_and_change_nothing            not a sequence
Backend notes-numbers          test_its_notes_are_lines_and_change_nothing            int, not text
Backend notes-nothing          test_its_notes_are_lines_and_change_nothing            an empty line
Backend notes-a-page           test_its_notes_are_lines_and_change_nothing            several lines at once
Backend notes-and-breaks       test_its_notes_are_lines_and_change_nothing            while notes were asked for
Backend notes-and-litters      test_the_variant_is_left_as_it_is                      changes it, or leaves files
Backend imports-nothing-else   test_what_it_also_imports_is_imported                  imports no such module
Backend no-operators           test_its_operators_have_times_and_known_words          found none
Backend simulates-backwards    test_what_it_simulates_is_an_interval_or_a_refusal     is no interval
Backend simulates-nothing      test_what_it_simulates_is_an_interval_or_a_refusal     rejected or has a latency
Backend simulates-both         test_what_it_simulates_is_an_interval_or_a_refusal     rejected or has a latency
Backend simulates-without-basis test_what_it_simulates_is_an_interval_or_a_refusal    must say its basis
Backend forgetful              test_what_it_simulates_is_an_interval_or_a_refusal     changes the graph
Backend moody                  test_what_it_simulates_is_an_interval_or_a_refusal     something else the second time
Technique wrong-stage          test_it_stands_where_its_format_lets_it                of stage 'structure'
Technique unknown-stage        test_it_stands_where_its_format_lets_it                the stage 'later'
Technique unknown-need         test_what_it_needs_is_something_that_the_host_has      needs luck
Technique labels-of-nothing    test_what_it_needs_is_something_that_the_host_has      names no split
Technique unknown-reference    test_its_facts_name_options_that_it_has                names student
Technique unknown-unsupported  test_its_facts_name_options_that_it_has                names digits
Technique impossible-default   test_its_default_is_a_recipe                           no option 'digits'
Technique endless              test_gentler_options_come_to_an_end                    still has a next
Technique standing             test_gentler_options_come_to_an_end                    the same options
Technique other-options        test_gentler_options_come_to_an_end                    returned str
Technique outside              test_the_result_is_live_or_in_its_work_folder          not in context.workdir
Technique nowhere              test_the_result_is_live_or_in_its_work_folder          is not there
Technique nothing              test_the_result_is_live_or_in_its_work_folder          returned None
Technique in-place             test_nothing_is_touched_but_its_work_folder            changes its input
Technique littering            test_nothing_is_touched_but_its_work_folder            here/log.txt
Technique outside              test_nothing_is_touched_but_its_work_folder            input/beside.npz
Technique idle                 test_it_changes_the_network                            changed no operator and no weight
Technique unseeded             test_the_same_seed_gives_the_same_variant              context.seed
Technique global-random        test_the_same_seed_gives_the_same_variant              context.seed
Technique wordy                test_its_notes_are_lines                               several lines at once
Technique silent-note          test_its_notes_are_lines                               notes an empty line
Technique not-finite           test_a_backend_runs_the_result                         not finite
Technique torn                 test_a_backend_runs_the_result                         is no linear network
Technique value-error          test_values_that_make_no_sense_get_no_foreign_error    decimals=-1 with ValueError
Technique lenient              test_what_it_must_refuse_is_refused                    takes decimals=-2
Technique key-error            test_a_wrong_file_is_refused                           with KeyError
Technique gullible             test_a_wrong_file_is_refused                           takes a file that is no model
Technique peeping              test_the_result_is_live_or_in_its_work_folder          nothing may look at it before
ModelSource raising-claims     test_it_claims_its_own_references_and_never_raises     raises IndexError
ModelSource word-claims        test_it_claims_its_own_references_and_never_raises     does not claim
ModelSource disowned-default   test_it_claims_its_own_references_and_never_raises     does not claim 'other:model'
ModelSource lists-others       test_it_lists_models_that_it_claims                    lists other:model
ModelSource lists-without-licence test_it_lists_models_that_it_claims                 without licence
ModelSource lists-away-without-reason test_it_lists_models_that_it_claims             not available without a reason
ModelSource heavy-list         test_listing_and_checking_are_light                    imports numpy
ModelSource heavy-check        test_listing_and_checking_are_light                    imports numpy
ModelSource checks-nothing     test_it_refuses_what_it_does_not_have                  DID NOT RAISE
ModelSource checks-by-key      test_it_refuses_what_it_does_not_have                  KeyError
ModelSource loads-anything     test_loading_what_it_does_not_have_is_refused          DID NOT RAISE
ModelSource moody-identity     test_an_identity_stays                                 and then
ModelSource unseeded           test_the_same_seed_gives_the_same_model                give other weights
ModelSource moody-hash         test_the_same_seed_gives_the_same_model                give another sha256
ModelSource litters            test_loading_writes_into_the_cache_alone               downloaded.bin
ModelSource other-format       test_the_payload_is_of_the_format_that_it_says         the model is linear
ModelSource lost-payload       test_the_payload_is_of_the_format_that_it_says         is not there
ModelSource large-example      test_the_example_fits_the_inputs                       has batch 2
ModelSource double-example     test_the_example_fits_the_inputs                       is float64
ModelSource no-outputs         test_the_example_fits_the_inputs                       no outputs
ModelSource twin-outputs       test_the_example_fits_the_inputs                       is there twice
ModelSource narrow-rows        test_its_data_fits_the_inputs                          not (None, 6)
ModelSource few-labels         test_its_data_fits_the_inputs                          labels are (3,)
ModelSource float-labels       test_its_data_fits_the_inputs                          not int64
ModelSource unknown-split      test_its_data_fits_the_inputs                          there is a split 'dev'
ModelSource noisy-split        test_its_splits_come_out_the_same_twice                another the second time
ModelSource scribbling-augment test_augmenting_leaves_the_rows_as_they_are            changes the rows
ModelSource casting-augment    test_augmenting_leaves_the_rows_as_they_are            makes float64
ModelSource moody-augment      test_augmenting_leaves_the_rows_as_they_are            something else than the generator
Converter cheap                test_its_facts_make_sense                              its cost is 0
Converter astray               test_the_result_is_in_its_work_folder                  not in context.workdir
Converter in-place             test_nothing_is_touched_but_its_work_folder            changes its input
Converter unsteady             test_the_same_input_gives_the_same_file                another content
Converter wordy                test_its_notes_are_lines                               several lines at once
Converter rounding             test_the_numbers_stay_the_same                         say lossless=False
Converter widening             test_the_numbers_stay_the_same                         output 0 was (1, 3)
Converter widening             test_the_work_stays_the_same                           it had 18
Converter gullible             test_a_wrong_file_is_refused                           converts a file that is no model
Converter misnaming            test_a_wrong_file_is_refused                           with ValueError
GraphReader loud-suffix        test_its_suffixes_are_lower_case_with_the_dot          .NPZ
GraphReader dotless-suffix     test_its_suffixes_are_lower_case_with_the_dot          lower case, with the dot
GraphReader no-graph           test_it_reads_a_graph_that_holds_together              returned str
GraphReader empty              test_it_reads_a_graph_that_holds_together              no operators
GraphReader odd-kind           test_it_reads_a_graph_that_holds_together              of kind 'magic'
GraphReader odd-precision      test_it_reads_a_graph_that_holds_together              'fp31'
GraphReader odd-scheme         test_it_reads_a_graph_that_holds_together              scheme 'wild'
GraphReader work-of-a-relu     test_it_reads_a_graph_that_holds_together              18 multiply-accumulates
GraphReader lost-tensor        test_it_reads_a_graph_that_holds_together              does not have: nothing
GraphReader lost-output        test_it_reads_a_graph_that_holds_together              nothing makes the outputs
GraphReader misplaced-tensor   test_it_reads_a_graph_that_holds_together              stands under weight
GraphReader odd-zeros          test_it_reads_a_graph_that_holds_together              share of zeros
GraphReader backwards          test_it_reads_a_graph_that_holds_together              before anything has made it
GraphReader free-batch         test_the_batch_is_bound_to_1                           bind a symbolic batch
GraphReader moody              test_reading_twice_gives_the_same                      another graph
GraphReader moody-hash         test_reading_twice_gives_the_same                      another hash
GraphReader numpy-number       test_a_graph_survives_json                             not JSON serializable
GraphReader list-attribute     test_a_graph_survives_json                             values that JSON does not keep
GraphReader short-hash         test_the_hash_is_one_and_follows_content_alone         not 64 hexadecimal digits
GraphReader hash-of-the-place  test_the_hash_is_one_and_follows_content_alone         another folder differs
GraphReader litters            test_reading_leaves_the_file_alone                     leaves others behind
GraphReader value-error        test_a_wrong_file_is_refused                           read answers
GraphReader hash-value-error   test_a_wrong_file_is_refused                           content_sha256 answers
GraphReader reads-anything     test_a_wrong_file_is_refused                           which is no model
GraphReader reads-half         test_half_a_file_is_refused                            which is no model
GraphWriter wider              test_what_it_writes_reads_as_it_was_meant              precisions or multiply-accumulates
GraphWriter writes-nothing     test_what_it_writes_reads_as_it_was_meant              did not write
GraphWriter constant           test_the_same_seed_gives_the_same_weights_and_another_others  gives the same weights
GraphWriter unseeded-writer    test_the_same_seed_gives_the_same_weights_and_another_others  gives other weights
GraphWriter writes-anything    test_what_cannot_be_written_is_refused                 DID NOT RAISE
Trainer unseeded               test_the_same_seed_gives_the_same_weights              different weights
Trainer idle                   test_training_changes_the_weights                      changed no weight
Trainer untold                 test_training_tells_what_it_did                        `before_step` was called
Trainer boasting               test_training_tells_what_it_did                        1000000 rows
Trainer wordless               test_training_tells_what_it_did                        no Trained
Trainer restless               test_no_epochs_train_nothing                           0 epochs changed
Trainer left-training          test_it_is_in_evaluation_mode_afterwards               still in training mode
Trainer inventive              test_without_rows_it_refuses                           DID NOT RAISE
Trainer by-key                 test_without_rows_it_refuses                           KeyError
Trainer noisy                  test_predicting_gives_a_row_for_a_row_and_always_the_same       other numbers
Trainer relative               test_predicting_gives_a_row_for_a_row_and_always_the_same    predicted by itself
Trainer few                    test_predicting_gives_a_row_for_a_row_and_always_the_same       1 rows for 48
Trainer counts-nothing         test_counting_is_sane                                  finds 0
Trainer numpy-count            test_counting_is_sane                                  not int
Trainer scribbling-count       test_counting_is_sane                                  changed the module
Meter no-scope                 test_its_scope_is_one_line                             what it covers
Meter long-scope               test_its_scope_is_one_line                             several lines
Meter absolute                 test_it_counts_from_when_it_was_opened                 count from 0
Meter fractional               test_it_counts_from_when_it_was_opened                 float, not int
Meter negative                 test_it_counts_from_when_it_was_opened                 the first reading is -
Meter falling                  test_it_never_falls                                    the counter falls
Meter standing                 test_it_rises                                          stood still
Meter closes-once              test_closing_twice_is_fine                             closed already
Meter opens-once               test_it_can_be_opened_again                            the device is busy
Meter sampling                 test_nothing_samples_after_closing                     there still run samples
ReportFormat dotless           test_its_suffix_is_one                                 not like .md
ReportFormat two-files         test_it_renders_text_with_names_that_can_be_saved      and not .fake.txt
ReportFormat up-a-folder       test_it_renders_text_with_names_that_can_be_saved      cannot be called
ReportFormat bytes             test_it_renders_text_with_names_that_can_be_saved      is bytes, not text
ReportFormat blank             test_it_renders_text_with_names_that_can_be_saved      is empty
ReportFormat timed             test_the_same_report_gives_the_same_text               another text the second time
ReportFormat here              test_it_does_not_depend_on_where_and_when              follows the folder
ReportFormat as-wide-as-the-terminal test_it_does_not_depend_on_where_and_when        the terminal
ReportFormat scribbling        test_rendering_changes_nothing                         render changes the report
ReportFormat writing           test_rendering_writes_and_prints_nothing               report.tmp
ReportFormat chatty            test_rendering_writes_and_prints_nothing               render prints
ReportFormat muttering         test_rendering_writes_and_prints_nothing               render prints
ReportFormat without-a-backend test_every_variant_is_named                            slow-runtime of small-net
ReportFormat without-a-model   test_every_variant_is_named                            the model large-net is missing
ReportFormat without-failures  test_what_is_missing_is_named                          nothing says so
ReportFormat first-section     test_a_report_without_records_is_rendered              IndexError
ReportFormat first-row         test_a_report_in_which_all_failed_is_rendered          IndexError
ReportFormat raw               test_markup_in_a_name_is_escaped                       escape it
ReportFormat codes             test_control_characters_in_a_name_are_survived_and_not_passed_on    an escape sequence
ReportFormat aborting          test_control_characters_in_a_name_are_survived_and_not_passed_on    ended the process
ReportFormat surrogate         test_it_can_be_saved                                   surrogates not allowed
"""
"""Class of the kit, plugin, the check that catches it, and what it says."""

ROWS = [tuple(line.split(maxsplit=3)) for line in CATCHES.strip().splitlines()]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str, str], str]:
    """What each check said of its plugin, all of them run at once."""
    result = tmp_path_factory.mktemp("planted") / "result.xml"
    nodes = [f"{PLANTED}::Test{kind}::{check}[{plugin}]" for kind, plugin, check, _ in ROWS]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:randomly",
        "-p",
        "no:cacheprovider",
        f"--junitxml={result}",
    ]
    names = " ".join(dict.fromkeys(plugin for _, plugin, _, _ in ROWS))
    environment = {**os.environ, "PLANTED": names, "BENCH_PLUGINS": ""}
    done = subprocess.run([*command, *nodes], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout[-3000:]
    found = {}
    for case in ET.parse(result).iter("testcase"):
        check, _, plugin = case.get("name", "").rstrip("]").partition("[")
        kind = case.get("classname", "").rpartition(".Test")[2]
        failure = next((each for each in (case.find("failure"), case.find("error")) if each is not None), None)
        found[kind, plugin, check] = "passed" if failure is None else f"{failure.get('message')} {failure.text}"
    return found


@pytest.mark.parametrize(("kind", "plugin", "check", "words"), ROWS, ids=[f"{k}-{p}-{c}" for k, p, c, _ in ROWS])
def test_a_defect_is_caught(kind, plugin, check, words, said) -> None:
    found = said[kind, plugin, check]
    assert words in found, found


def test_every_check_of_the_kit_has_a_defect_that_it_catches() -> None:
    """A check without one might be one that cannot fail."""
    wanted = set()
    for name in harness.testing.__all__:
        kit = getattr(harness.testing, name)
        if inspect.isclass(kit) and issubclass(kit, PluginConformance):
            kind = name.removesuffix("Conformance")
            wanted |= {(kind, check) for check in vars(kit) if check.startswith("test_")}
    assert wanted - {(kind, check) for kind, _, check, _ in ROWS} == set()
