"""``python -m benchmarks``: one command a question, and ``all`` of them."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from benchmarks.rows import RESULTS
from benchmarks.studies.performance.summary import ATTACKS
from deep_protection.attacks import POSTER
from deep_protection.evaluation import BASELINES

DEFENCES = ",".join([*BASELINES, "fast", "thorough"])
DEFAULT_ATTACKS = ",".join(ATTACKS)

app = typer.Typer(
    help="Measure deep-protection beside its peers. Rows go to docs/results/speed and are not measured twice.",
    no_args_is_help=True,
    add_completion=False,
)
Images = Annotated[
    str, typer.Option(help="Folder with one folder a class (WordNet id), or 'samples' for foolbox's 20 photographs.")
]
Attacks = Annotated[str, typer.Option(help="Names, joined by commas; 'none' is the clean image.")]
Out = Annotated[Path, typer.Option(help="File of rows, or folder of tables.")]
Rounds = Annotated[int, typer.Option(min=1, help="Rounds over everything that is compared; medians are reported.")]
Inputs = Annotated[Path, typer.Option(help="Folder of attacked images; what is missing is made.")]
SAMPLES, MADE = "samples", Path("inputs")
ALL_ATTACKS = ",".join([*POSTER, "pgd8"])
DETECTION = Path("docs/results/detection")
EIGHT = ",".join(POSTER)
SEVERAL_FITS = Path("docs/results/stopping")
MAPS = Path("docs/results/maps")
INTEGRATIONS = Path("docs/results/integrations/rows.jsonl")
RESTORED = Path("docs/results/restoration/rows.jsonl")
TIMES = RESTORED.with_name("times.jsonl")
SERVICE = Path("docs/results/service")
HARDER = Path("docs/results/harder")
CERTIFICATION = Path("docs/results/certification/rows.jsonl")
FILE_FUZZ = Path("docs/results/inputs/file_fuzz.jsonl")


@app.command()
def recovery(
    images: Images = SAMPLES,
    inputs: Inputs = MADE,
    methods: Annotated[str, typer.Option(help="Baselines and presets.")] = DEFENCES,
    attacks: Attacks = DEFAULT_ATTACKS,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, in the fixed random order.")] = 1000,
    iterations: Annotated[int, typer.Option(min=1, help="Of every fit, recorded every 10.")] = 100,
    out: Out = RESULTS,
) -> None:
    """Right answers given back and CPU seconds, of baselines and presets."""
    from benchmarks.studies.performance import recovery as measured

    measured.run(images, inputs, out, methods.split(","), attacks.split(","), limit, iterations)


@app.command(name="several-fits")
def several_fits(
    images: Images = SAMPLES,
    inputs: Inputs = MADE,
    attacks: Attacks = EIGHT,
    limit: Annotated[int, typer.Option(min=1)] = 100,
    out: Out = SEVERAL_FITS,
) -> None:
    """One fit, or several of different seeds together: images averaged, or the classifier's answers."""
    from benchmarks.studies.stopping import several_fits as measured

    measured.run(images, inputs, attacks.split(","), limit, out)


@app.command()
def maps(
    folder: Annotated[Path, typer.Option("--maps", help="Folder of sheets, PNG, and their ground_truth.json.")],
    methods: Annotated[str, typer.Option(help="Names, joined by commas; all of them if left out.")] = "",
    limit: Annotated[int | None, typer.Option(min=1)] = None,
    out: Out = MAPS,
) -> None:
    """Words on maps: by the reader alone, behind the usual filters, with the Deep Image Residual."""
    from benchmarks.studies.maps import words as measured

    measured.run(folder, out, [name for name in methods.split(",") if name], limit)


@app.command(name="maps-score")
def maps_score(folder: Annotated[Path, typer.Option("--maps", help="Folder with ground_truth.json.")]) -> None:
    """Count what `maps` read against the truth."""
    from benchmarks.studies.maps import score as counted

    counted.score(folder)


@app.command(name="maps-painting")
def maps_painting(folder: Annotated[Path, typer.Option("--maps", help="Folder of the sheets.")]) -> None:
    """What is painted where words stood, on ground that is known."""
    from benchmarks.studies.maps import painting

    painting.run(folder)


@app.command(name="maps-synthetic")
def maps_synthetic() -> None:
    """Sheets drawn with their words, by the reader alone and by extract-text: what settings may be chosen on."""
    from benchmarks.studies.maps import synthetic

    synthetic.run()


@app.command()
def long(
    images: Images = SAMPLES,
    inputs: Inputs = MADE,
    method: Annotated[str, typer.Option(help="published or dipdefend.")] = "published",
    attacks: Attacks = "pgd",
    limit: Annotated[int, typer.Option(min=1)] = 4,
    every: Annotated[int, typer.Option(min=1, help="Iterations between two rows.")] = 25,
    out: Out = RESULTS / "long.jsonl",
) -> None:
    """Fits of a slow peer to its published end: up to an hour an image, resumable at any moment."""
    from benchmarks.studies.performance import long_fits

    long_fits.run(images, inputs, out, method, attacks.split(","), limit, every)


@app.command()
def detection(
    images: Images = SAMPLES,
    inputs: Inputs = MADE,
    attacks: Attacks = ALL_ATTACKS,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, in the fixed random order.")] = 1000,
    out: Annotated[Path | None, typer.Option(help="Folder of rows; of another classifier than lite0 its own.")] = None,
    classifier: str = "lite0",
) -> None:
    """What the detector and others see in clean and in attacked images; of another classifier the detector alone."""
    from benchmarks.studies.detection import evidence as measured

    folder = out or (DETECTION if classifier == "lite0" else DETECTION.with_name(f"detection-{classifier}"))
    measured.run(images, inputs, attacks.split(","), limit, folder, classifier)


@app.command("contrast-collect")
def contrast_collect(
    out: Annotated[Path, typer.Option(help="Folder for the answers, some 200 kB an image and attack.")],
    images: Images = SAMPLES,
    inputs: Inputs = MADE,
    attacks: Attacks = EIGHT,
    limit: Annotated[int, typer.Option(min=1)] = 1000,
    classifier: str = "lite0",
) -> None:
    """Ask about everything that the answer by contrast could be made of. Attacked images that are missing are made."""
    from benchmarks.studies import contrast as measured

    measured.collect(images, inputs, out, attacks.split(","), limit, classifier)


@app.command("contrast-search")
def contrast_search(
    answers: Annotated[Path, typer.Option(help="Folder that contrast-collect filled.")],
    attacks: Attacks = EIGHT,
    classifier: str = "lite0",
) -> None:
    """Count right answers of every variant of the answer by contrast."""
    from benchmarks.studies import contrast as measured

    measured.search(answers, attacks.split(","), classifier)


@app.command("detection-costs")
def detection_costs() -> None:
    """What detectors and the restoration cost, side by side. Wants a quiet machine."""
    from benchmarks.studies.detection import costs as measured

    measured.run()


@app.command()
def harder(
    images: Images = SAMPLES,
    inputs: Inputs = MADE,
    limit: Annotated[int, typer.Option(min=1)] = 10,
    out: Out = HARDER,
) -> None:
    """What would be harder for an attacker who knows, and its price."""
    from benchmarks.studies import harder as measured

    measured.run(images, inputs, limit, out)


@app.command()
def certify(
    images: Images = SAMPLES,
    denoisers: Annotated[str, typer.Option(help="none, tv, dct, fast, joined by commas.")] = "none,tv,dct",
    sigma: Annotated[float, typer.Option(help="Of the noise.")] = 0.12,
    samples: Annotated[int, typer.Option(min=10, help="Draws that bound a probability.")] = 1000,
    alpha: Annotated[float, typer.Option(help="How often a certificate may be wrong.")] = 0.001,
    views: Annotated[bool, typer.Option("--views", help="Ask about the mirror image, too.")] = False,
    radius: Annotated[float | None, typer.Option(help="Only ask whether this one holds: quicker.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, in the fixed random order.")] = 1000,
    out: Out = CERTIFICATION,
) -> None:
    """Certified accuracy under noise, bare and behind denoisers, on all images: minutes an image, resumable."""
    from benchmarks.studies import certification as measured

    measured.run(images, denoisers.split(","), sigma, samples, alpha, limit, out, views=views, radius=radius)


@app.command()
def noisy(
    images: Images = SAMPLES,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, in the fixed random order.")] = 100,
) -> None:
    """How often the classifier is right under noise, bare and behind denoisers: a draw an image, resumable."""
    from benchmarks.studies import noisy as measured

    measured.run(images, limit)


@app.command()
def ideas(
    images: Images = SAMPLES,
    inputs: Inputs = MADE,
    attacks: Attacks = "none,pgd8,fgsm,saltpepper",
    limit: Annotated[int, typer.Option(min=1)] = 12,
    iterations: Annotated[int, typer.Option(min=1)] = 80,
    out: Out = RESULTS,
) -> None:
    """Variants of `fast`, one choice changed at a time."""
    from benchmarks.studies.performance import ideas as tried

    tried.run(images, inputs, out, attacks.split(","), limit, iterations)


@app.command()
def speed(rounds: Rounds = 7, out: Out = RESULTS / "speed.jsonl") -> None:
    """Seconds an iteration of every peer and preset, interleaved. Measured anew each time."""
    from benchmarks.studies.performance import speed as measured

    measured.run(out, rounds)


@app.command()
def scale(
    rounds: Rounds = 3,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    out: Annotated[Path | None, typer.Option(help="File of rows; scale.jsonl, or scale-cuda.jsonl.")] = None,
) -> None:
    """Cost against number of images, size and cores, and peak memory. Measured anew each time."""
    from benchmarks.studies.performance import scale as measured

    name = "scale.jsonl" if device == "cpu" else f"scale-{device.partition(':')[0]}.jsonl"
    measured.run(out or RESULTS / name, device, rounds)


@app.command(name="scale-point", hidden=True)
def scale_point(point: str) -> None:
    """One point of `scale`, in a process of its own."""
    from benchmarks.studies.performance import scale as measured

    typer.echo(json.dumps(measured.measure(json.loads(point))))


@app.command(name="protect-costs")
def protect_costs(
    images: Annotated[Path, typer.Option(help="Folder with one folder of photographs a class.")],
    against: Annotated[str, typer.Option(help="Commit that it is held against.")],
    limit: Annotated[int, typer.Option(min=1)] = 25,
    rounds: Rounds = 3,
) -> None:
    """What the protection costs for images that nobody attacked, beside an earlier commit. Wants a quiet machine."""
    from benchmarks.studies.performance import protecting as measured

    measured.run(images, against, limit, rounds)


@app.command()
def gpu(
    device: Annotated[str, typer.Option(help="cuda, or cpu for trying it.")] = "cuda",
    batches: Annotated[str, typer.Option(help="Images at once, joined by commas.")] = "1,8,32,64,128,256,512",
    seconds: Annotated[float, typer.Option(help="Of the longest batch, about.")] = 12.0,
    compared: Annotated[int, typer.Option(min=1, max=20, help="Photographs that are held against the CPU's.")] = 8,
    out: Out = RESULTS / "gpu.jsonl",
) -> None:
    """Images a second of fits, of the protection and of certificates in batches; whether a GPU answers as the CPU does;
    and what an iteration there is made of.
    """
    from benchmarks.studies.performance import gpu as measured

    measured.run(out, device, tuple(int(each) for each in batches.split(",")), seconds, compared)


@app.command()
def restore(
    images: Annotated[Path, typer.Option(help="Folder with Set14 and the paper's images (DIP).")],
    tasks: Annotated[str, typer.Option(help="Which restorations.")] = "denoise,dejpeg,upscale,inpaint",
    side: Annotated[int, typer.Option(min=0, help="Middles of so many pixels; 0: whole images.")] = 128,
    sigma: Annotated[float, typer.Option(min=1, max=100, help="Of the noise, in 8-bit steps.")] = 25,
    slow: Annotated[bool, typer.Option(help="With the prior where it is not in by default, too.")] = True,
    out: Out = RESTORED,
) -> None:
    """Our restorations beside the cheap ones."""
    from benchmarks.studies.restoration import methods as measured

    measured.run(images, tasks.split(","), side or None, out, sigma, slow=slow)


@app.command(name="restore-times")
def restore_times(
    images: Annotated[Path, typer.Option(help="Folder with Set14 and the paper's images (DIP).")],
    out: Out = TIMES,
) -> None:
    """Seconds and memory of every restoration, from 256 px a side to 12 megapixels."""
    from benchmarks.studies.restoration import times as measured

    measured.run(images, out)


@app.command(name="restore-peer")
def restore_peer(
    images: Annotated[Path, typer.Option(help="Folder with Set14 and the paper's images (DIP).")],
    tasks: Annotated[str, typer.Option(help="Which restorations.")] = "denoise,dejpeg,upscale,inpaint",
    side: Annotated[int, typer.Option(min=64, help="Middles of so many pixels; a multiple of 32.")] = 128,
    peer: Annotated[Literal["published", "deepinv"], typer.Option(help="Whose recipe.")] = "published",
    out: Out = RESTORED,
) -> None:
    """The published recipe of every restoration, or deepinv's, to its own end: hours."""
    from benchmarks.studies.restoration import peers as measured

    measured.run(images, tasks.split(","), side, out, peer)


@app.command(name="service-load")
def service_load(
    minutes: Annotated[float, typer.Option(min=0.1, help="Of load, in all.")] = 10.0,
    clients: Annotated[int, typer.Option(min=1)] = 8,
    out: Out = SERVICE / "load.jsonl",
) -> None:
    """Clients that post images, and the bare engine in between: errors, throughput, latency, memory."""
    from benchmarks.studies.service import load as measured

    measured.run(out, minutes, clients)


@app.command(name="service-estimates")
def service_estimates(out: Out = SERVICE / "estimates.jsonl") -> None:
    """How long jobs were said to take before they began, and how long they ran."""
    from benchmarks.studies.service import estimates as measured

    measured.run(out)


@app.command(name="service-faults")
def service_faults(
    kills: Annotated[int, typer.Option(min=1)] = 24,
    seed: int = 0,
    out: Out = SERVICE / "faults.jsonl",
) -> None:
    """Server and workers killed at random moments under load: what became of every job."""
    from benchmarks.studies.service import faults as measured

    measured.run(out, kills, seed)


@app.command(name="service-breakdowns")
def service_breakdowns(
    only: Annotated[str, typer.Option(help="Trials, joined by ';'. Default: all.")] = "",
    side: Annotated[int, typer.Option(min=300, help="Of the stippled scan, in pixels.")] = 6000,
    out: Out = SERVICE / "breakdowns.jsonl",
) -> None:
    """One thing broken at a time, a worker, the dispatcher, the job table: what becomes of every job."""
    from benchmarks.studies.service import breakdowns as measured

    measured.run(out, only.split(";") if only else [], side)


@app.command(name="service-fuzz")
def service_fuzz(
    requests: Annotated[int, typer.Option(min=1, help="In all, at least.")] = 10_000,
    seconds: Annotated[int, typer.Option(min=1, help="For schemathesis.")] = 240,
    minutes: Annotated[float, typer.Option(help="After which it ends, however many requests there were.")] = 60.0,
    seed: int = 0,
    out: Out = SERVICE / "fuzz.jsonl",
) -> None:
    """Requests made up from the OpenAPI description, and damaged images: no server error, no growth."""
    from benchmarks.studies.service import fuzz as measured

    measured.run(out, requests, seconds, minutes, seed)


@app.command(name="file-fuzz")
def file_fuzz(
    files: Annotated[int, typer.Option(min=1, help="In all; the first hundred or so are sound.")] = 3_200,
    seed: int = 0,
    seconds: Annotated[float, typer.Option(min=1, help="After which a file counts as hanging.")] = 180.0,
    kept: Annotated[Path, typer.Option(help="Folder for files at fault, made where there are any.")] = Path("faults"),
    out: Out = FILE_FUZZ,
) -> None:
    """Damaged files of every kind through purify, inpaint, detect and extract_text: right, or one clear error."""
    from benchmarks.studies.inputs import fuzz as measured

    measured.run(out, range(files), seed, seconds, kept)


@app.command()
def gallery(
    only: Annotated[
        str, typer.Option(help="Which, joined by commas.")
    ] = "purify,denoise,dejpeg,inpaint,upscale,extract-text",
) -> None:
    """The images of docs/gallery.md: every command on foolbox's photographs and a drawn map."""
    from benchmarks.pages import gallery as shown

    shown.make(only.split(","))


@app.command()
def webp(files: Annotated[list[Path], typer.Argument(help="PNG files, such as a demo's.")]) -> None:
    """Turn figures into WebP, a tenth of the bytes, as the documents have them."""
    from benchmarks.pages.webp import as_webp

    for file in files:
        file.with_suffix(".webp").write_bytes(as_webp(file.read_bytes()))
        file.unlink()


@app.command(name="demo-row")
def demo_row(folder: Annotated[Path, typer.Argument(help="Of the demo's figure.")] = Path("docs/results/demo")) -> None:
    """The README's image: the first of the two photographs in the demo's figure."""
    from benchmarks.pages.webp import upper_half

    (folder / "first.webp").write_bytes(upper_half((folder / "demo.webp").read_bytes()))


@app.command()
def story() -> None:
    """What the page shows before anybody clicks, and what becomes of each of its samples."""
    from benchmarks.pages import story as measured

    measured.make()


@app.command()
def screenshots() -> None:
    """The images of docs/page.md: the page in Chromium, before a real service."""
    from benchmarks.pages import screenshots as taken

    taken.take()


@app.command(name="paper-run")
def paper_run(
    out: Annotated[Path, typer.Option(help="Folder for rows and figure.")] = Path("docs/results/paper-run"),
    sample: Annotated[int, typer.Option(help="Which of foolbox's 20 photographs.")] = 0,
    iterations: Annotated[int, typer.Option(min=1)] = 1750,
    plot_only: Annotated[bool, typer.Option("--plot-only", help="Draw the figure again.")] = False,
) -> None:
    """One full fit of the published recipe, recorded at every checkpoint: about 30 minutes."""
    from benchmarks.studies import paper_run as measured

    if not plot_only:
        measured.run(out, sample, iterations)
    measured.plot(out)


@app.command()
def profile(
    preset: Annotated[str, typer.Option(help="fast or paper.")] = "fast",
    out: Annotated[Path, typer.Option(help="Folder for the table.")] = RESULTS,
) -> None:
    """Where the time of a fit goes, by PyTorch's profiler."""
    from benchmarks.studies.performance import profile as measured

    measured.run(preset, out)


@app.command()
def integrations(
    limit: Annotated[int, typer.Option(min=1, max=20, help="Of foolbox's photographs.")] = 8,
    hosts: Annotated[
        str, typer.Option(help="Which libraries, by module.")
    ] = "foolbox,torchattacks,art,pyautoattack,deepinv",
    out: Out = INTEGRATIONS,
) -> None:
    """Other libraries' attacks, our defence, their measures: what the scripts of examples/ find."""
    from benchmarks.studies import integrations as measured

    measured.run(limit, hosts.split(","), out)


@app.command()
def documents(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail where a document is not up to date.")
    ] = False,
) -> None:
    """Fill README.md, the documents and their figures from the committed rows."""
    from benchmarks.documents import render
    from benchmarks.studies.detection import plot as roc
    from benchmarks.studies.performance import plot

    if check:
        stale = [name for name in render.DOCUMENTS if not render.is_up_to_date(name)]
        if stale:
            typer.echo(f"not up to date: {', '.join(stale)}; run: python -m benchmarks documents", err=True)
            raise typer.Exit(1)
        return
    plot.plot()
    roc.plot()
    render.fill_all()


@app.command(name="same-bits")
def same_bits(
    against: Annotated[str, typer.Option(help="A commit.")],
    images: Annotated[Path, typer.Option(help="Folder with one folder a class, named by its WordNet id.")],
    limit: Annotated[int, typer.Option(min=1, help="At most so many images, in the fixed random order.")] = 4,
    attacks: str = "poster",
    defences: str = "protected,protected-quick,fast,thorough,jpeg25",
) -> None:
    """Whether this checkout gives the rows that an earlier commit gives, to the last bit. Exit code 1 if not."""
    from benchmarks.studies import same_bits as measured

    raise typer.Exit(1 if measured.run(against, images, limit, attacks, defences) else 0)


@app.command(name="all")
def everything(images: Images = SAMPLES) -> None:
    """Everything but the slow peers, which want hours: run `long` for those."""
    speed()
    scale()
    profile()
    recovery(images)
    ideas(images)
    documents(check=False)


def main() -> None:
    app()
