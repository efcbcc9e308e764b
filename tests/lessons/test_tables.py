from __future__ import annotations

import csv
import dataclasses
import math
from importlib.resources import files

import pytest

from kit.lessons import tables as published

ITMEETSAL = [published.itmeetsal_table(number) for number in range(1, 7)]
AMID = [published.amid_table(number) for number in range(1, 7)]
ALL = [*ITMEETSAL, *AMID]
I2T, T2I = "Flickr30K image-to-text", "Flickr30K text-to-image"


def test_all_twelve_tables_have_every_row() -> None:
    assert [len(published.itmeetsal_table(n).rows) for n in range(1, 7)] == [17, 10, 7, 4, 6, 2]
    assert [len(published.amid_table(n).rows) for n in range(1, 7)] == [6, 6, 13, 6, 5, 18]
    assert [len(table.columns) for table in ALL] == [12, 3, 3, 6, 6, 12, 2, 4, 2, 2, 1, 1]
    assert [table.number for table in ALL] == [1, 2, 3, 4, 5, 6] * 2


def test_every_number_is_a_percentage_or_none() -> None:
    for table in ALL:
        for row in table.rows:
            assert len(row.keys) == len(table.key_columns)
            assert row.columns == table.columns
            assert len(row.values) == len(table.columns)
            for value in row.values:
                assert value is None or (type(value) is float and 0 < value < 100)
                assert value is None or math.isfinite(value)


def test_the_empty_cells_are_the_papers_empty_cells() -> None:
    empty = [sum(row.values.count(None) for row in table.rows) for table in ALL]
    # 9 of Word2VisualVec, 6 each of CMPM+CMPC, TIMAM and DAN; 3 R@5; one WA; student and teacher
    assert empty == [27, 3, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0]


def test_columns_carry_their_unit() -> None:
    assert all(column.endswith(" (%)") for table in ALL for column in table.columns)
    assert all(len(set(table.columns)) == len(table.columns) for table in ALL)


def test_names_of_rows_are_unique() -> None:
    for table in ALL:
        assert len({row.keys for row in table.rows}) == len(table.rows)


@pytest.mark.parametrize(
    ("table", "keys", "column", "value"),
    [
        (ITMEETSAL[0], ("m-RNN [26]",), "MS-COCO text-to-image R@5 (%)", 42.2),
        (ITMEETSAL[0], ("Word2VisualVec [28]",), f"{T2I} R@1 (%)", None),
        (ITMEETSAL[0], ("Dual-path stage II [34]",), "MS-COCO image-to-text R@1 (%)", 65.6),
        (ITMEETSAL[0], ("Our ITMeetsAL", "ResNet-152"), f"{T2I} R@1 (%)", 43.5),
        (ITMEETSAL[1], ("MIA [37]",), "CUHK-PEDES text-to-image R@5 (%)", 70.7),
        (
            ITMEETSAL[1],
            ("ResNet-50", "Our ITMeetsAL"),
            "CUHK-PEDES text-to-image R@10 (%)",
            81.34,
        ),
        (ITMEETSAL[2], ("GMM+HGLMM [38]",), "Flickr8K image-to-text R@5 (%)", 59.3),
        (ITMEETSAL[3], ("Baseline3",), f"{I2T} mAP (%)", 25.2),
        (ITMEETSAL[4], ("τ = 6",), f"{T2I} R@10 (%)", 73.4),
        (ITMEETSAL[5], ("Method in Figure 7",), "CUHK-PEDES image-to-text R@10 (%)", 93.75),
        (AMID[0], ("GMC [36]",), "ActivityNet top-1 accuracy (%)", 53.1),
        (AMID[1], ("CRCD [51]",), "UCF51 video-to-video R@5 (%)", 75.2),
        (AMID[2], ("AL-V", "CCL [9]"), "IEMOCAP WA (%)", 53.2),
        (AMID[3], ("AMID with L_nce",), "UCF51 teacher top-1 accuracy (%)", 74.3),
        (AMID[4], ("w/o warm-up",), "UCF51 top-1 accuracy (%)", 65.8),
        (AMID[5], ("α_3", "0.9"), "UCF51 top-1 accuracy (%)", 73.7),
    ],
)
def test_spot_values(
    table: published.Table, keys: tuple[str, ...], column: str, value: float | None
) -> None:
    assert table.row(*keys)[column] == value


# Each table's columns added up from the papers' own text: a digit mistyped anywhere changes one.
SUMS = [
    (784.3, 1247.6, 1404.3, 545.5, 1015.6, 1192.3, 676.9, 1057.7, 1165.6, 516.2, 941.7, 1114.1),
    (457.94, 494.99, 771.75),
    (227.2, 422.6, 508.5),
    (174.2, 324.9, 99.0, 131.4, 292.5, 131.4),
    (274.0, 489.0, 154.6, 201.6, 442.0, 201.6),
    (111.8, 177.9, 64.81, 115.5, 184.2, 71.4, 133.37, 187.35, 68.96, 78.9, 155.6, 44.79),
    (410.2, 310.2),
    (400.6, 439.2, 269.5, 396.1),
    (625.2, 663.6),
    (355.3, 371.5),
    (351.1,),
    (1320.2,),
]


def test_columns_add_up_to_the_papers_sums() -> None:
    for table, sums in zip(ALL, SUMS, strict=True):
        for at, expected in enumerate(sums):
            total = sum(row.values[at] or 0.0 for row in table.rows)
            assert total == pytest.approx(expected, abs=1e-6), (table.title, table.columns[at])


def test_recall_grows_with_k_and_no_hit_list_shrinks() -> None:
    for table in ALL:
        for row in table.rows:
            by_task: dict[str, list[float]] = {}
            for column, value in zip(row.columns, row.values, strict=True):
                if " R@" in column and value is not None:
                    by_task.setdefault(column.split(" R@")[0], []).append(value)
            for recalls in by_task.values():
                assert recalls == sorted(recalls), row.keys


def test_text_to_image_map_equals_recall_at_one_in_tables_4_and_5() -> None:
    ten = [row for n in (4, 5) for row in published.itmeetsal_table(n).rows]
    assert len(ten) == 10
    assert all(row[f"{T2I} mAP (%)"] == row[f"{T2I} R@1 (%)"] for row in ten)


def test_the_same_experiment_agrees_between_tables_but_for_the_noted_cells() -> None:
    table = published.itmeetsal_table
    mobile = table(1).row("Our ITMeetsAL", "MobileNet")
    full, tau = table(4).row("Full method"), table(5).row("τ = 4")
    for column in (f"{I2T} R@1 (%)", f"{I2T} R@10 (%)", f"{T2I} R@1 (%)"):
        assert mobile[column] == full[column] == tau[column]
    assert [row[f"{T2I} R@10 (%)"] for row in (mobile, full, tau)] == [74.2, 74.1, 74.2]
    resnet, unified = (
        table(1).row("Our ITMeetsAL", "ResNet-152"),
        table(6).row("Method in Figure 4"),
    )
    for data in ("Flickr30K", "MS-COCO"):
        for k in (1, 10):
            column = f"{data} image-to-text R@{k} (%)"
            assert resnet[column] == unified[column]
    eight = table(3).row("Our ITMeetsAL", "ResNet-152")
    assert (eight["Flickr8K image-to-text R@1 (%)"], unified["Flickr8K image-to-text R@1 (%)"]) == (
        40.1,
        39.9,
    )


def number(row: published.Row, column: str) -> float:
    value = row[column]
    assert value is not None
    return value


def test_gains_named_in_the_text_agree() -> None:
    ours = published.amid_table(1).row("AMID (Ours)")
    second = {"UCF51": ("CRCD [51]", 4.2), "ActivityNet": ("GMC [36]", 0.5)}
    for data_set, (method, gain) in second.items():
        column = f"{data_set} top-1 accuracy (%)"
        other = number(published.amid_table(1).row(method), column)
        assert number(ours, column) - other == pytest.approx(gain)
    column = "IEMOCAP UA (%)"
    base = number(published.amid_table(3).row("V", "Baseline"), column)
    for setup, gain in (("A-V", 0.9), ("L-V", 1.6), ("AL-V", 1.9)):
        ua = number(published.amid_table(3).row(setup, "AMID (Ours)"), column)
        assert ua - base == pytest.approx(gain)
    for measure, points, percent in (("R@1", 2.21, 3.37), ("mAP", 0.62, 1.81)):
        column = f"CUHK-PEDES image-to-text {measure} (%)"
        separate, unified = (number(row, column) for row in published.itmeetsal_table(6).rows)
        assert separate - unified == pytest.approx(points)
        assert 100 * (separate - unified) / unified == pytest.approx(percent, abs=0.01)


def test_misprints_stand_as_printed_and_are_noted() -> None:
    table = published.amid_table(6)
    assert table.row("α_2", "1.0").values == (73.8,)
    assert any(note.keys == ("α_2", "1.0") and "must be 1.6" in note.text for note in table.notes)
    (lost,) = published.amid_table(3).notes
    assert published.amid_table(3).row(*lost.keys)[lost.column] is None


def test_notes_point_at_rows_and_columns_that_exist() -> None:
    notes = [(table, note) for table in ALL for note in table.notes]
    assert len(notes) >= 16
    for table, note in notes:
        assert note.text.endswith(".")
        if note.keys:
            table.row(*note.keys)
        assert note.column in ("", *table.columns)


def test_rows_in_the_order_of_the_kits_scores() -> None:
    measures = ("R@1", "R@10", "mAP", "mAP_cmpm")
    full = published.itmeetsal_table(4).row("Full method")
    expected = [46.6, 82.5, None, 26.3, 34.4, 74.1, None, 34.4]
    assert published.itmeetsal_scores(full, "Flickr30K", measures) == expected
    figure_7 = published.itmeetsal_table(6).row("Method in Figure 7")
    expected = [39.0, 77.7, None, 22.33, None, None, None, None]
    assert published.itmeetsal_scores(figure_7, "Flickr8K", measures) == expected


def test_tables_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        published.itmeetsal_table(1).number = 2  # type: ignore[misc]


def test_unknown_table_row_and_column() -> None:
    with pytest.raises(ValueError, match=r"itmeetsal_table: expected .* 1 to 6, got 7"):
        published.itmeetsal_table(7)
    with pytest.raises(ValueError, match=r"amid_table: expected .* 1 to 6, got 0"):
        published.amid_table(0)
    table = published.itmeetsal_table(3)
    with pytest.raises(ValueError, match=r"Table.row: .* got \('Our ITMeetsAL',\), which fit 3 of"):
        table.row("Our ITMeetsAL")
    with pytest.raises(ValueError, match=r"which fit 0 of: RNN\+FV \[27\], VGG"):
        table.row("AlexNet")
    with pytest.raises(ValueError, match=r"Row: expected one of the columns .* got 'R@1'"):
        table.rows[0]["R@1"]


@pytest.mark.parametrize("paper", ["itmeetsal", "amid"])
def test_every_line_of_the_files_fills_its_tables_columns_and_no_other(paper: str) -> None:
    text = files(published).joinpath(f"{paper}.csv").read_text(encoding="utf-8")
    head, *lines = csv.reader(text.splitlines())
    assert len(lines) == sum(len(t.rows) for t in (ITMEETSAL if paper == "itmeetsal" else AMID))
    filled: dict[str, set[tuple[str, ...]]] = {}
    for line in lines:
        names = tuple(name for name, cell in zip(head, line, strict=True) if cell)
        filled.setdefault(line[0], set()).add(names)
    assert [*filled] == ["1", "2", "3", "4", "5", "6"]
    assert all(len(names) == 1 for names in filled.values())


def test_every_note_belongs_to_a_table_that_there_is() -> None:
    text = files(published).joinpath("notes.csv").read_text(encoding="utf-8")
    lines = [*csv.DictReader(text.splitlines())]
    assert len(lines) == sum(1 + len(table.notes) for table in ALL)  # a title each
