"""`python run.py [experiment=NAME] [key=value ...]`: in a checkout, what `temporal-smoothing` is where installed."""

from experiments.main import main

if __name__ == "__main__":
    main()
