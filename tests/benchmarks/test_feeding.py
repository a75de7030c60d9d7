import json

from benchmarks import feeding

from blemish.data.records import encode_image


def test_the_host_is_measured_alone(capsys, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # set by each measurement, put back at the end
    feeding.main(["--threads", "1", "2", "--images", "5", "--side", "64", "--batch", "2", "--repeats", "1"])
    results = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [result["threads"] for result in results] == [1, 2]
    for result in results:
        assert min(result[name] for name in ("corrupted_per_s", "measured_per_s", "cpu_ms_to_corrupt")) > 0


def test_the_images_are_as_hard_to_encode_as_photographs():
    (pixels,) = feeding.photographs(1, 256)
    assert 1.5 < len(encode_image(pixels)) / 256**2 < 2.5
