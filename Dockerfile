# adapt for machines with an NVIDIA GPU: docs/docker.md says how to build and run it.
# A plain Python image: the wheels of PyTorch bring CUDA with them, only the driver comes from the host.
FROM python:3.11-slim-bookworm

# libexpat1 is what the readers of GeoTIFF and vector files link to; git and compilers are not needed
RUN apt-get update && apt-get install --yes --no-install-recommends libexpat1 && rm -rf /var/lib/apt/lists/*

RUN useradd --create-home --uid 1000 adapt
COPY . /opt/adapt
RUN pip install --no-cache-dir --constraint /opt/adapt/constraints.txt \
      "/opt/adapt[medical,satellite,microscopy,export,demo,wandb,tensorboard]"

USER adapt
WORKDIR /work
# prepared data, frozen features and downloaded models: mount a volume here, and they outlive the container
ENV HF_HOME=/home/adapt/.cache/huggingface
RUN mkdir -p /home/adapt/.cache
VOLUME ["/home/adapt/.cache"]
ENTRYPOINT ["adapt"]
CMD ["--help"]
